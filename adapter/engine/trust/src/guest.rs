//! A guest that ignores the answers to its requests. It does to a volume what
//! [`Runner`](crate::run::Runner) does, so one can follow the other.

use crate::ops::{DIRS, FILES, LISTINGS, Op, pattern};
use kvfs::{Access, At, Descriptor, DirStream, Error, Follow, InodeNo, OpenFlags, Volume};

pub struct Guest {
    pub volume: Volume,
    files: [Option<Descriptor>; FILES],
    dirs: [Option<Descriptor>; DIRS],
    listings: [Option<DirStream>; LISTINGS],
}

/// Entries that one [`Op::List`] reads at most: a hostile directory may never end.
const MAX_LISTED_ENTRIES: usize = 300;

impl Guest {
    pub fn new(mut volume: Volume) -> Result<Self, Error> {
        let root = volume.root()?;
        let (mut dirs, files, listings) =
            ([const { None }; DIRS], [const { None }; FILES], [const { None }; LISTINGS]);
        dirs[0] = Some(root);
        Ok(Self { volume, files, dirs, listings })
    }

    /// Does one operation, or nothing if its slots are empty.
    ///
    /// # Errors
    /// Any error of the volume.
    pub fn act(&mut self, op: &Op) -> Result<(), Error> {
        match self.try_act(op) {
            Some(outcome) => outcome,
            None => Ok(()),
        }
    }

    fn try_act(&mut self, op: &Op) -> Option<Result<(), Error>> {
        let Self { volume, files, dirs, listings } = self;
        let outcome = match op {
            Op::Open { dir, path, follow, flags, access, slot } => {
                let closed = files[*slot].take().map_or(Ok(()), |before| volume.close(before));
                let opened = volume.open_at(dirs[*dir].as_ref()?, path, *follow, *flags, *access);
                opened.and_then(|opened| {
                    files[*slot] = Some(opened);
                    closed
                })
            }
            Op::Close { slot } => volume.close(files[*slot].take()?),
            Op::OpenDir { dir, path, slot } => {
                let flags = OpenFlags { directory: true, ..OpenFlags::default() };
                let base = dirs[*dir].as_ref()?;
                let opened = volume.open_at(base, path, Follow::Yes, flags, Access::default());
                opened.and_then(|opened| match dirs[*slot].replace(opened) {
                    Some(before) => volume.close(before),
                    None => Ok(()),
                })
            }
            Op::CloseDir { slot } => volume.close(dirs[*slot].take()?),
            Op::Stream { slot } => match volume.reopen(files[*slot].as_ref()?) {
                Ok(again) => volume.close_stream(again),
                Err(error) => Err(error),
            },
            Op::Write { slot, at, length, fill } => {
                let file = files[*slot].as_ref()?;
                let start = match at {
                    At::Offset(offset) => *offset,
                    At::End => volume.stat(file).map_or(0, |stat| stat.size),
                };
                volume.write(file, *at, &pattern(start, *length, *fill)).map(drop)
            }
            Op::Read { slot, offset, length } => {
                let mut bytes = Vec::new();
                let read = volume.read(files[*slot].as_ref()?, *offset, *length, &mut bytes);
                assert!(bytes.len() <= *length, "more bytes than were asked for");
                read.map(drop)
            }
            Op::SetSize { slot, size } => volume.set_size(files[*slot].as_ref()?, *size),
            Op::Stat { slot } => volume.stat(files[*slot].as_ref()?).map(drop),
            Op::StatDir { slot } => volume.stat(dirs[*slot].as_ref()?).map(drop),
            Op::StatAt { dir, path, follow } => volume.stat_at(dirs[*dir].as_ref()?, path, *follow).map(drop),
            Op::Mkdir { dir, path } => volume.create_directory_at(dirs[*dir].as_ref()?, path),
            Op::Rmdir { dir, path } => volume.remove_directory_at(dirs[*dir].as_ref()?, path),
            Op::Unlink { dir, path } => volume.unlink_file_at(dirs[*dir].as_ref()?, path),
            Op::Rename { old, new } => {
                volume.rename_at(dirs[old.0].as_ref()?, &old.1, dirs[new.0].as_ref()?, &new.1)
            }
            Op::Link { old, follow, new } => {
                volume.link_at(dirs[old.0].as_ref()?, &old.1, *follow, dirs[new.0].as_ref()?, &new.1)
            }
            Op::Symlink { target, dir, path } => {
                let target = target.replace('\0', "");
                volume.symlink_at(&target, dirs[*dir].as_ref()?, path)
            }
            Op::Readlink { dir, path } => volume.readlink_at(dirs[*dir].as_ref()?, path).map(drop),
            Op::SetTimes { slot, atime, mtime } => volume.set_times(files[*slot].as_ref()?, *atime, *mtime),
            Op::SetTimesAt { dir, path, follow, atime, mtime } => {
                volume.set_times_at(dirs[*dir].as_ref()?, path, *follow, *atime, *mtime)
            }
            Op::List { slot } => list(volume, dirs[*slot].as_ref()?),
            Op::ListStart { dir, slot } => {
                let started = volume.read_directory(dirs[*dir].as_ref()?);
                match (started, listings[*slot].take()) {
                    (Ok(stream), before) => {
                        listings[*slot] = Some(stream);
                        before.map_or(Ok(()), |before| volume.close_directory(before))
                    }
                    (Err(error), before) => {
                        listings[*slot] = before;
                        Err(error)
                    }
                }
            }
            Op::ListNext { slot, count } => {
                let stream = listings[*slot].as_mut()?;
                (0..*count).try_for_each(|_| volume.next_entry(stream).map(drop))
            }
            Op::ListEnd { slot } => volume.close_directory(listings[*slot].take()?),
            // There is no next number here to count from: a hostile volume has any.
            Op::StatNumber { back } => volume.stat_number(InodeNo(number(*back))).map(drop),
            Op::OpenNumber { back, access, slot } => {
                let closed = files[*slot].take().map_or(Ok(()), |before| volume.close(before));
                volume.open_number(InodeNo(number(*back)), *access).and_then(|opened| {
                    files[*slot] = Some(opened);
                    closed
                })
            }
            Op::ReadlinkNumber { back } => volume.readlink_number(InodeNo(number(*back))).map(drop),
            Op::LinkNumber { back, dir, path } => {
                volume.link_number(InodeNo(number(*back)), dirs[*dir].as_ref()?, path)
            }
            Op::LookUpFrom { back, path } => {
                let start = volume.start_at(InodeNo(number(*back)));
                start.and_then(|start| volume.look_up_at(start, path)).map(drop)
            }
            Op::MkdirFrom { back, path } => {
                let start = volume.start_at(InodeNo(number(*back)));
                start.and_then(|start| volume.create_directory_at(start, path))
            }
            Op::UnlinkFrom { back, path } => {
                let start = volume.start_at(InodeNo(number(*back)));
                start.and_then(|start| volume.unlink_file_at(start, path))
            }
            Op::SetQuota { quota } => volume.set_quota(*quota),
            Op::Sync | Op::Reopen => volume.sync_all(),
        };
        Some(outcome)
    }
}

fn list(volume: &mut Volume, dir: &Descriptor) -> Result<(), Error> {
    let mut stream = volume.read_directory(dir)?;
    let mut listed = 0;
    let outcome = loop {
        match volume.next_entry(&mut stream) {
            Ok(Some(_)) if listed < MAX_LISTED_ENTRIES => listed += 1,
            Ok(_) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    volume.close_directory(stream).and(outcome)
}

/// A number as the reference counts it, without what it counts from.
fn number(back: u64) -> u64 {
    back.min(u64::MAX - back)
}
