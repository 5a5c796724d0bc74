//! The reference: a file system of the plainest kind, written from what POSIX and WASI say and not
//! from how the engine works. Cloning it is cheap, so that every moment of a run can be kept.

mod cost;

pub use cost::{Cost, Layout};

use kvfs::{Access, At, Code, Follow, Kind, OpenFlags, Quota, SetTime, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

pub type Id = u64;
pub const ROOT: Id = 1;

const PAGE: u64 = 256;
const SIZE_MAX: u64 = i64::MAX as u64;

/// The bytes of a file; what no page holds is zero.
#[derive(Debug, Clone, Default)]
pub struct Bytes {
    pub size: u64,
    pub cost: Cost,
    pages: BTreeMap<u64, Rc<[u8; PAGE as usize]>>,
}

impl Bytes {
    fn write(&mut self, offset: u64, data: &[u8]) {
        for (at, byte) in (offset..).zip(data) {
            let page = self.pages.entry(at / PAGE).or_insert_with(|| Rc::new([0; PAGE as usize]));
            Rc::make_mut(page)[(at % PAGE) as usize] = *byte;
        }
        self.size = self.size.max(offset + data.len() as u64);
    }

    fn resize(&mut self, size: u64) {
        if size < self.size {
            self.pages.retain(|page, _| *page <= size / PAGE);
            if let Some(page) = self.pages.get_mut(&(size / PAGE)) {
                Rc::make_mut(page)[(size % PAGE) as usize..].fill(0);
            }
        }
        self.size = size;
    }

    pub fn read(&self, offset: u64, length: u64) -> Vec<u8> {
        let end = self.size.min(offset.saturating_add(length));
        let byte = |at: u64| self.pages.get(&(at / PAGE)).map_or(0, |page| page[(at % PAGE) as usize]);
        (offset..end).map(byte).collect()
    }
}

#[derive(Debug, Clone)]
pub enum What {
    File(Bytes),
    Directory { entries: BTreeMap<String, Id>, parent: Id },
    Symlink(String),
}

#[derive(Debug, Clone)]
pub struct Object {
    pub what: What,
    /// Not only an image's: made or changed since.
    pub above: bool,
    pub nlink: u64,
    pub atime: Timestamp,
    pub mtime: Timestamp,
    pub ctime: Timestamp,
}

impl Object {
    pub fn kind(&self) -> Kind {
        match self.what {
            What::File(_) => Kind::File,
            What::Directory { .. } => Kind::Directory,
            What::Symlink(_) => Kind::Symlink,
        }
    }

    pub fn size(&self) -> u64 {
        match &self.what {
            What::File(bytes) => bytes.size,
            What::Directory { entries, .. } => entries.len() as u64,
            What::Symlink(target) => target.len() as u64,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Model {
    pub objects: BTreeMap<Id, Rc<Object>>,
    pub open: BTreeMap<Id, u32>,
    pub next: Id,
    pub now: Timestamp,
    /// The longest target of a symbolic link: no longer than an extent of the volume.
    pub target_bytes_max: usize,
    pub layout: Layout,
    pub quota: Quota,
    /// Names that are an image's, with their directories.
    pub names_below: BTreeSet<(Id, String)>,
}

pub type Answer<T> = Result<T, Code>;

/// Where a path leads.
struct Place {
    dir: Id,
    /// The last name, unless the path ends in `.` or `..`.
    name: Option<String>,
    target: Option<Id>,
    slash: bool,
}

impl Model {
    pub fn new(now: Timestamp) -> Model {
        let mut model = Model {
            objects: BTreeMap::new(),
            open: BTreeMap::new(),
            next: ROOT + 1,
            now,
            target_bytes_max: 4095,
            layout: Layout { extent_bytes: 32 << 10, inline_bytes: 4 << 10 },
            quota: Quota::default(),
            names_below: BTreeSet::new(),
        };
        let root = What::Directory { entries: BTreeMap::new(), parent: ROOT };
        let root = Object { what: root, above: true, nlink: 2, atime: now, mtime: now, ctime: now };
        model.objects.insert(ROOT, Rc::new(root));
        model
    }

    pub fn object(&self, id: Id) -> &Object {
        &self.objects[&id]
    }

    fn edit(&mut self, id: Id) -> &mut Object {
        let object = Rc::make_mut(self.objects.get_mut(&id).expect("an object that is there"));
        object.above = true;
        object
    }

    pub fn entries(&self, id: Id) -> Option<&BTreeMap<String, Id>> {
        match &self.object(id).what {
            What::Directory { entries, .. } => Some(entries),
            _ => None,
        }
    }

    fn bytes(&self, id: Id) -> &Bytes {
        match &self.object(id).what {
            What::File(bytes) => bytes,
            _ => panic!("not a file"),
        }
    }

    fn lookup(&self, base: Id, path: &str, follow: bool) -> Answer<Place> {
        self.lookup_for(base, path, follow, false)
    }

    /// As [`Model::lookup`]; with `file`, the last name is one for a file, which has no slashes behind it.
    fn lookup_for(&self, base: Id, path: &str, follow: bool, file: bool) -> Answer<Place> {
        if path.is_empty() {
            return Err(Code::NoEntry);
        }
        if path.len() > 4095 {
            return Err(Code::NameTooLong);
        }
        if path.contains('\0') {
            return Err(Code::Invalid);
        }
        // Each with how many bytes of the path, links expanded, are behind it.
        let mut steps: VecDeque<(String, usize)> = VecDeque::new();
        let mut slash = false;
        let mut links = 0;
        let mut here = base;
        let splice = |steps: &mut VecDeque<(String, usize)>, slash: &mut bool, text: &str, behind| {
            if text.starts_with('/') {
                return Err(Code::NotPermitted);
            }
            if text.len() + behind > 4095 {
                return Err(Code::NameTooLong);
            }
            if steps.is_empty() {
                *slash |= text.ends_with('/');
            }
            let mut end = text.len();
            for step in text.rsplit('/') {
                if !step.is_empty() {
                    steps.push_front((step.to_owned(), text.len() - end + behind));
                }
                end = end.saturating_sub(step.len() + 1);
            }
            Ok(())
        };
        splice(&mut steps, &mut slash, path, 0)?;
        while let Some((step, behind)) = steps.pop_front() {
            if step.len() > 255 {
                return Err(Code::NameTooLong);
            }
            if step == "." {
                continue;
            }
            if step == ".." {
                if here == base {
                    return Err(Code::NotPermitted);
                }
                let What::Directory { parent, .. } = &self.object(here).what else {
                    return Err(Code::NotDirectory);
                };
                here = *parent;
                continue;
            }
            let target = self.entries(here).ok_or(Code::NotDirectory)?.get(&step).copied();
            let last = steps.is_empty();
            if last && slash && file {
                return Err(Code::IsDirectory);
            }
            match target.map(|id| &self.object(id).what) {
                Some(What::Symlink(text)) if !last || follow || slash => {
                    links += 1;
                    if links > 40 {
                        return Err(Code::Loop);
                    }
                    splice(&mut steps, &mut slash, text, behind)?;
                }
                _ if last => return Ok(Place { dir: here, name: Some(step), target, slash }),
                Some(What::Directory { .. }) => here = target.expect("found above"),
                Some(_) => return Err(Code::NotDirectory),
                None => return Err(Code::NoEntry),
            }
        }
        Ok(Place { dir: here, name: None, target: Some(here), slash: true })
    }

    /// The object at a path; a file with a slash behind its name is not one.
    fn find(&self, base: Id, path: &str, follow: bool) -> Answer<Id> {
        let place = self.lookup(base, path, follow)?;
        let id = place.target.ok_or(Code::NoEntry)?;
        if place.slash && self.object(id).kind() != Kind::Directory {
            return Err(Code::NotDirectory);
        }
        Ok(id)
    }

    fn is_gone(&self, dir: Id) -> bool {
        self.object(dir).nlink == 0
    }

    fn make(&mut self, what: What) -> Id {
        let (id, now) = (self.next, self.now);
        self.next += 1;
        let nlink = if matches!(what, What::Directory { .. }) { 2 } else { 1 };
        self.objects
            .insert(id, Rc::new(Object { what, above: true, nlink, atime: now, mtime: now, ctime: now }));
        id
    }

    fn bind(&mut self, dir: Id, name: &str, id: Id) {
        let now = self.now;
        let is_dir = self.object(id).kind() == Kind::Directory;
        let holder = self.edit(dir);
        let What::Directory { entries, .. } = &mut holder.what else { panic!("not a directory") };
        entries.insert(name.to_owned(), id);
        holder.nlink += u64::from(is_dir);
        (holder.mtime, holder.ctime) = (now, now);
        self.names_below.remove(&(dir, name.to_owned()));
    }

    fn unbind(&mut self, dir: Id, name: &str) -> Id {
        let now = self.now;
        let id = self.entries(dir).expect("a directory")[name];
        let is_dir = self.object(id).kind() == Kind::Directory;
        let holder = self.edit(dir);
        let What::Directory { entries, .. } = &mut holder.what else { panic!("not a directory") };
        entries.remove(name);
        holder.nlink -= u64::from(is_dir);
        (holder.mtime, holder.ctime) = (now, now);
        self.names_below.remove(&(dir, name.to_owned()));
        id
    }

    fn drop_name(&mut self, id: Id) {
        let now = self.now;
        let object = self.edit(id);
        object.nlink = if object.kind() == Kind::Directory { 0 } else { object.nlink - 1 };
        object.ctime = now;
        self.collect(id);
    }

    fn collect(&mut self, id: Id) {
        if self.object(id).nlink == 0 && self.open.get(&id).copied().unwrap_or(0) == 0 {
            self.objects.remove(&id);
        }
    }

    pub fn opened(&mut self, id: Id) {
        *self.open.entry(id).or_default() += 1;
    }

    pub fn closed(&mut self, id: Id) {
        *self.open.get_mut(&id).expect("it was open") -= 1;
        self.collect(id);
    }

    /// Everything is closed: what a restart does.
    pub fn close_all(&mut self) {
        self.open.clear();
        self.objects.retain(|_, object| object.nlink > 0);
    }

    pub fn open_at(
        &mut self,
        base: Id,
        path: &str,
        follow: Follow,
        flags: OpenFlags,
        access: Access,
    ) -> Answer<Id> {
        if flags.directory && (flags.create || flags.exclusive || flags.truncate) {
            return Err(Code::Invalid);
        }
        let exclusive = flags.create && flags.exclusive;
        let place = self.lookup_for(base, path, follow == Follow::Yes && !exclusive, flags.create)?;
        let Some(id) = place.target else {
            if !flags.create {
                return Err(Code::NoEntry);
            }
            if self.is_gone(place.dir) {
                return Err(Code::NoEntry);
            }
            let name = place.name.expect("what is not there has a name");
            let made = [Model::new_inode(0), Model::new_name(&name), self.copied(&[place.dir])];
            self.check_growth(&made, &[])?;
            let id = self.make(What::File(Bytes::default()));
            self.bind(place.dir, &name, id);
            self.opened(id);
            return Ok(id);
        };
        if exclusive {
            return Err(Code::Exist);
        }
        match self.object(id).kind() {
            Kind::Symlink => return Err(Code::Loop),
            Kind::File if flags.directory || place.slash => return Err(Code::NotDirectory),
            Kind::Directory if flags.create || flags.truncate || access.write => {
                return Err(Code::IsDirectory);
            }
            _ => {}
        }
        if flags.truncate && self.object(id).size() > 0 {
            self.set_size(id, 0)?;
        }
        self.opened(id);
        Ok(id)
    }

    pub fn write(&mut self, id: Id, at: At, data: &[u8]) -> Answer<u64> {
        let now = self.now;
        let offset = match at {
            At::Offset(offset) => offset,
            At::End => self.bytes(id).size,
        };
        if data.is_empty() {
            return Ok(offset);
        }
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > SIZE_MAX) {
            return Err(Code::FileTooLarge);
        }
        let cost = self.cost_after(id, |cost, layout| cost.write(offset, data.len() as u64, layout))?;
        let object = self.edit(id);
        let What::File(bytes) = &mut object.what else { panic!("not a file") };
        bytes.cost = cost;
        bytes.write(offset, data);
        (object.mtime, object.ctime) = (now, now);
        Ok(offset)
    }

    pub fn read(&self, id: Id, offset: u64, length: u64) -> Vec<u8> {
        self.bytes(id).read(offset, length)
    }

    pub fn set_size(&mut self, id: Id, size: u64) -> Answer<()> {
        let now = self.now;
        if size > SIZE_MAX {
            return Err(Code::FileTooLarge);
        }
        let cost = self.cost_after(id, |cost, layout| cost.resize(size, layout))?;
        let object = self.edit(id);
        let What::File(bytes) = &mut object.what else { panic!("not a file") };
        bytes.cost = cost;
        bytes.resize(size);
        (object.mtime, object.ctime) = (now, now);
        Ok(())
    }

    pub fn stat_at(&self, base: Id, path: &str, follow: Follow) -> Answer<Id> {
        self.find(base, path, follow == Follow::Yes)
    }

    pub fn mkdir(&mut self, base: Id, path: &str) -> Answer<()> {
        let place = self.name_to_make(base, path)?;
        let made = [Model::new_inode(0), Model::new_name(&place.1), self.copied(&[place.0])];
        self.check_growth(&made, &[])?;
        let id = self.make(What::Directory { entries: BTreeMap::new(), parent: place.0 });
        self.bind(place.0, &place.1, id);
        Ok(())
    }

    /// A directory's path may end in slashes, which say nothing new.
    fn trim(path: &str) -> &str {
        match path.trim_end_matches('/') {
            "" => path,
            trimmed => trimmed,
        }
    }

    fn name_to_make(&self, base: Id, path: &str) -> Answer<(Id, String)> {
        let place = self.lookup(base, Model::trim(path), false)?;
        if place.target.is_some() {
            return Err(Code::Exist);
        }
        if self.is_gone(place.dir) {
            return Err(Code::NoEntry);
        }
        Ok((place.dir, place.name.ok_or(Code::Exist)?))
    }

    pub fn symlink(&mut self, target: &str, base: Id, path: &str) -> Answer<()> {
        if target.is_empty() {
            return Err(Code::NoEntry);
        }
        if target.starts_with('/') {
            return Err(Code::NotPermitted);
        }
        if target.len() > self.target_bytes_max {
            return Err(Code::NameTooLong);
        }
        let place = self.lookup(base, Model::trim(path), false)?;
        if place.target.is_some() {
            return Err(Code::Exist);
        }
        if path.ends_with('/') || self.is_gone(place.dir) {
            return Err(Code::NoEntry);
        }
        let name = place.name.ok_or(Code::Exist)?;
        let made = [Model::new_inode(target.len()), Model::new_name(&name), self.copied(&[place.dir])];
        self.check_growth(&made, &[])?;
        let id = self.make(What::Symlink(target.to_owned()));
        self.bind(place.dir, &name, id);
        Ok(())
    }

    pub fn readlink(&self, base: Id, path: &str) -> Answer<String> {
        match &self.object(self.find(base, path, false)?).what {
            What::Symlink(target) => Ok(target.clone()),
            _ => Err(Code::Invalid),
        }
    }

    pub fn unlink(&mut self, base: Id, path: &str) -> Answer<()> {
        let place = self.lookup(base, Model::trim(path), false)?;
        let name = place.name.ok_or(Code::IsDirectory)?;
        let id = place.target.ok_or(Code::NoEntry)?;
        if self.object(id).kind() == Kind::Directory {
            return Err(Code::IsDirectory);
        }
        if path.ends_with('/') {
            return Err(Code::NotDirectory);
        }
        self.unbind(place.dir, &name);
        self.drop_name(id);
        Ok(())
    }

    pub fn rmdir(&mut self, base: Id, path: &str) -> Answer<()> {
        let place = self.lookup(base, Model::trim(path), false)?;
        let is_up = Model::trim(path).ends_with("..");
        let name = place.name.ok_or(if is_up { Code::NotEmpty } else { Code::Invalid })?;
        let id = place.target.ok_or(Code::NoEntry)?;
        match self.entries(id) {
            None => return Err(Code::NotDirectory),
            Some(entries) if !entries.is_empty() => return Err(Code::NotEmpty),
            Some(_) => {}
        }
        self.unbind(place.dir, &name);
        self.drop_name(id);
        Ok(())
    }

    pub fn link(&mut self, old: (Id, &str), follow: Follow, new: (Id, &str)) -> Answer<()> {
        let id = self.find(old.0, old.1, follow == Follow::Yes)?;
        let place = self.lookup(new.0, Model::trim(new.1), false)?;
        if place.target.is_some() {
            return Err(Code::Exist);
        }
        if new.1.ends_with('/') {
            return Err(Code::NoEntry);
        }
        if self.is_gone(place.dir) {
            return Err(Code::NoEntry);
        }
        if self.object(id).kind() == Kind::Directory {
            return Err(Code::NotPermitted);
        }
        let name = place.name.ok_or(Code::Exist)?;
        self.check_growth(&[Model::new_name(&name), self.copied(&[id, place.dir])], &[])?;
        let now = self.now;
        let object = self.edit(id);
        object.nlink += 1;
        object.ctime = now;
        self.bind(place.dir, &name, id);
        Ok(())
    }

    pub fn rename(&mut self, old: (Id, &str), new: (Id, &str)) -> Answer<()> {
        let (from, to) =
            (self.lookup(old.0, Model::trim(old.1), false)?, self.lookup(new.0, Model::trim(new.1), false)?);
        let (from_name, to_name) = (from.name.ok_or(Code::Busy)?, to.name.ok_or(Code::Busy)?);
        let slash = old.1.ends_with('/') || new.1.ends_with('/');
        let id = from.target.ok_or(Code::NoEntry)?;
        let is_dir = self.object(id).kind() == Kind::Directory;
        if slash && !is_dir {
            return Err(Code::NotDirectory);
        }
        if to.target == Some(id) {
            return Ok(());
        }
        if is_dir && self.is_inside(to.dir, id) {
            return Err(Code::Invalid);
        }
        if let Some(there) = to.target {
            match (is_dir, self.entries(there)) {
                (true, None) => return Err(Code::NotDirectory),
                (false, Some(_)) if self.is_inside(from.dir, there) => return Err(Code::NotEmpty),
                (false, Some(_)) => return Err(Code::IsDirectory),
                (true, Some(entries)) if !entries.is_empty() => return Err(Code::NotEmpty),
                _ => {}
            }
        }
        if self.is_gone(to.dir) {
            return Err(Code::NoEntry);
        }
        let mut changed = vec![from.dir, to.dir];
        changed.extend(is_dir.then_some(id));
        let gone = [self.charged_name(from.dir, &from_name), self.charged_name(to.dir, &to_name)];
        self.check_growth(&[Model::new_name(&to_name), self.copied(&changed)], &gone)?;
        if let Some(there) = to.target {
            self.unbind(to.dir, &to_name);
            self.drop_name(there);
        }
        self.unbind(from.dir, &from_name);
        self.bind(to.dir, &to_name, id);
        let now = self.now;
        if matches!(self.objects[&id].what, What::Directory { .. }) {
            let object = self.edit(id);
            object.ctime = now;
            if let What::Directory { parent, .. } = &mut object.what {
                *parent = to.dir;
            }
        }
        Ok(())
    }

    fn is_inside(&self, mut dir: Id, of: Id) -> bool {
        loop {
            if dir == of {
                return true;
            }
            match &self.object(dir).what {
                What::Directory { parent, .. } if *parent != dir => dir = *parent,
                _ => return false,
            }
        }
    }

    pub fn set_times(&mut self, id: Id, atime: SetTime, mtime: SetTime) -> Answer<()> {
        let now = self.now;
        let bad = |time: SetTime| matches!(time, SetTime::At(at) if at.nanoseconds >= 1_000_000_000);
        if bad(atime) || bad(mtime) {
            return Err(Code::Invalid);
        }
        if (atime, mtime) == (SetTime::Keep, SetTime::Keep) {
            return Ok(());
        }
        self.check_growth(&[self.copied(&[id])], &[])?;
        let object = self.edit(id);
        for (place, time) in [(&mut object.atime, atime), (&mut object.mtime, mtime)] {
            match time {
                SetTime::Keep => {}
                SetTime::Now => *place = now,
                SetTime::At(at) => *place = at,
            }
        }
        object.ctime = now;
        Ok(())
    }
}
