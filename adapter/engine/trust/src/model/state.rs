//! The state of the reference, and how it binds and drops names.

use super::cost::Layout;
use super::object::{Bytes, Content, Id, Object, ROOT};
use kvfs::{Code, Kind, Quota, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

pub type Answer<T> = Result<T, Code>;

#[derive(Debug, Clone)]
pub struct Model {
    pub objects: BTreeMap<Id, Rc<Object>>,
    pub open: BTreeMap<Id, u32>,
    pub next: Id,
    pub now: Timestamp,
    /// The longest target of a symbolic link. An extent of the volume must hold it.
    pub target_bytes_max: usize,
    pub layout: Layout,
    pub quota: Quota,
    /// Names that the image has, each with its directory.
    pub names_below: BTreeSet<(Id, String)>,
}

impl Model {
    pub fn new(now: Timestamp) -> Self {
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
        let root = Content::Directory { entries: BTreeMap::new(), parent: ROOT };
        let root = Object { content: root, above: true, nlink: 2, atime: now, mtime: now, ctime: now };
        model.objects.insert(ROOT, Rc::new(root));
        model
    }

    pub fn object(&self, id: Id) -> &Object {
        &self.objects[&id]
    }

    pub(super) fn edit(&mut self, id: Id) -> &mut Object {
        let object = Rc::make_mut(self.objects.get_mut(&id).expect("an object that is there"));
        object.above = true;
        object
    }

    pub fn entries(&self, id: Id) -> Option<&BTreeMap<String, Id>> {
        match &self.object(id).content {
            Content::Directory { entries, .. } => Some(entries),
            _ => None,
        }
    }

    pub(super) fn bytes(&self, id: Id) -> &Bytes {
        match &self.object(id).content {
            Content::File(bytes) => bytes,
            _ => panic!("not a file"),
        }
    }

    pub(super) fn is_gone(&self, dir: Id) -> bool {
        self.object(dir).nlink == 0
    }

    pub(super) fn make(&mut self, content: Content) -> Id {
        let (id, now) = (self.next, self.now);
        self.next += 1;
        let nlink = if matches!(content, Content::Directory { .. }) { 2 } else { 1 };
        self.objects
            .insert(id, Rc::new(Object { content, above: true, nlink, atime: now, mtime: now, ctime: now }));
        id
    }

    pub(super) fn bind(&mut self, dir: Id, name: &str, id: Id) {
        let now = self.now;
        let is_dir = self.object(id).kind() == Kind::Directory;
        let holder = self.edit(dir);
        let Content::Directory { entries, .. } = &mut holder.content else { panic!("not a directory") };
        entries.insert(name.to_owned(), id);
        holder.nlink += u64::from(is_dir);
        (holder.mtime, holder.ctime) = (now, now);
        self.names_below.remove(&(dir, name.to_owned()));
    }

    pub(super) fn unbind(&mut self, dir: Id, name: &str) -> Id {
        let now = self.now;
        let id = self.entries(dir).expect("a directory")[name];
        let is_dir = self.object(id).kind() == Kind::Directory;
        let holder = self.edit(dir);
        let Content::Directory { entries, .. } = &mut holder.content else { panic!("not a directory") };
        entries.remove(name);
        holder.nlink -= u64::from(is_dir);
        (holder.mtime, holder.ctime) = (now, now);
        self.names_below.remove(&(dir, name.to_owned()));
        id
    }

    pub(super) fn drop_name(&mut self, id: Id) {
        let now = self.now;
        let object = self.edit(id);
        object.nlink = if object.kind() == Kind::Directory { 0 } else { object.nlink - 1 };
        object.ctime = now;
        self.collect(id);
    }

    pub(super) fn collect(&mut self, id: Id) {
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

    /// Closes everything, as a restart does.
    pub fn close_all(&mut self) {
        self.open.clear();
        self.objects.retain(|_, object| object.nlink > 0);
    }
}
