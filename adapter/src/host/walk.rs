//! Walks paths in a directory of the host, and out of it.
//!
//! The host walks most paths itself, and lets none leave the directory. Each name is looked at here
//!
//! - if the path has empty names, `.` or `..`: hosts treat trailing slashes and dots in different
//!   ways, so they never see any;
//! - if something is mounted in the directory, not everything in it is visible, or the mount has a
//!   policy;
//! - if a symbolic link may lead above the mount;
//! - if the operation changes something and no changes are taken.

use super::base::Base;
use super::codes::to_code;
use super::path::{HostPath, Tail};
use super::way::Way;
use crate::bindings::exports::wasi::filesystem::types::ErrorCode;
use crate::bindings::kvfs::host_filesystem::types::{DescriptorType, ErrorCode as HostCode, PathFlags};
use crate::codes;
use kvfs::limits::MAX_SYMLINK_DEPTH;
use kvfs::steps::{self, Step};
use kvfs::{Crossing, Ending, Error};
use std::borrow::Cow;

/// The end of a walk.
pub(super) enum Walked {
    Here(HostPath),
    /// Onto a mount in it, or above its root.
    Out(Crossing),
}

pub(super) fn walk(base: &Base, path: &str, ending: Ending, mut links: u32) -> Result<Walked, ErrorCode> {
    steps::check(path).map_err(refused)?;
    let mount = &base.mount;
    let ruled = !mount.nested.is_empty() || !mount.files.is_empty() || mount.policy.is_some();
    let special = ruled || !base.at.is_empty() || base.look;
    let is_object = matches!(ending, Ending::Object(_));
    // Where no changes are taken, the host must not be asked for any: errors of the path are found
    // here.
    let refuses = (mount.read_only || !base.mutate) && !is_object;
    if !special && !refuses && !path.split('/').any(|name| matches!(name, "" | "." | "..")) {
        return Ok(Walked::Here(HostPath::unseen(base, path)));
    }
    let is_name = ending.is_name();
    let mut at = Way::new(base);
    let mut path = Cow::Borrowed(path);
    let mut next = 0;
    loop {
        let step = Step::take(&path, next).map_err(refused)?;
        let Step { name, is_last, must_be_dir: slashes, .. } = step;
        let behind = path.get(step.end..).unwrap_or_default();
        match name {
            "" | "." => {}
            ".." => {
                if at.names.is_empty() && base.floor {
                    return Err(ErrorCode::NotPermitted);
                }
                if is_last && is_name {
                    return Ok(Walked::Here(HostPath::new(base, at.names, Tail::Up)));
                }
                if !at.up() {
                    let rest = path.get(step.start..).unwrap_or_default().to_owned();
                    return Ok(Walked::Out(Crossing::Up { rest, links }));
                }
            }
            _ => {
                let in_root = at.full.is_empty();
                if slashes && matches!(ending, Ending::File(_)) {
                    return Err(ErrorCode::IsDirectory);
                }
                let tail = if slashes { Tail::Slashes } else { Tail::None };
                at.down(name);
                if at.is_hidden() {
                    return match is_last {
                        true => Ok(Walked::Here(HostPath::hidden(base, tail))),
                        false => Err(ErrorCode::NoEntry),
                    };
                }
                if let Some(nested) = mount.nested_at(&at.full) {
                    if is_last && is_name {
                        return Ok(Walked::Here(HostPath::mountpoint(base, at.full, tail)));
                    }
                    return Ok(Walked::Out(Crossing::down(nested, behind, links)));
                }
                if in_root && !mount.files.is_empty() {
                    return match mount.file(name) {
                        Some(file) if is_last && (!slashes || is_name) => {
                            Ok(Walked::Here(HostPath::mapped(base, at.full, (file, tail))?))
                        }
                        Some(_) => Err(ErrorCode::NotDirectory),
                        None if is_last => Ok(Walked::Here(HostPath::hidden(base, tail))),
                        None => Err(ErrorCode::NoEntry),
                    };
                }
                if is_last && !ending.follows(slashes) {
                    return Ok(Walked::Here(HostPath::new(base, at.names, tail)));
                }
                let (handle, here) = at.here();
                match handle.stat_at(PathFlags::empty(), here).map(|stat| stat.type_) {
                    Ok(DescriptorType::SymbolicLink) => {
                        links += 1;
                        if links > MAX_SYMLINK_DEPTH {
                            return Err(ErrorCode::Loop);
                        }
                        let target = handle.readlink_at(here).map_err(to_code)?;
                        let followed = steps::follow_link(&target, behind).map_err(refused)?;
                        steps::check(&followed).map_err(refused)?;
                        (path, next) = (Cow::Owned(followed), 0);
                        at.up();
                        continue;
                    }
                    Ok(DescriptorType::Directory) => at.anchor(),
                    Ok(_) if slashes => return Err(ErrorCode::NotDirectory),
                    _ if is_last => {}
                    // It does not exist, and could not be made, but something is mounted below it.
                    Err(HostCode::NoEntry) if mount.leads_to_nested(&at.full) => {}
                    Ok(_) => return Err(ErrorCode::NotDirectory),
                    Err(error) => return Err(to_code(error)),
                }
            }
        }
        if is_last {
            let tail = if matches!(name, "" | ".") { Tail::Dot } else { Tail::None };
            return Ok(Walked::Here(HostPath::new(base, at.names, tail)));
        }
        next = step.end;
    }
}

fn refused(error: Error) -> ErrorCode {
    codes::to_code(&error)
}
