//! Where a path leads in a directory of the host, and out of it.
//!
//! The host walks paths itself, and lets none leave the directory. Only where a `..` or a link might lead above the
//! mount, something is mounted in it, or not everything is visible, each name is looked at here.

use super::codes::to_code;
use super::mount::HostMount;
use super::place::Place;
use crate::bindings::exports::wasi::filesystem::types::ErrorCode;
use crate::bindings::kvfs::host_filesystem::types::{
    Descriptor as Handle, DescriptorType, ErrorCode as HostCode, PathFlags,
};
use kvfs::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX, SYMLINK_DEPTH_MAX};
use kvfs::{Ending, Follow, MountNo};
use std::rc::Rc;

/// Where a walk starts.
#[derive(Clone)]
pub(super) struct Base {
    pub(super) mount: Rc<HostMount>,
    /// An open directory.
    pub(super) handle: Rc<Handle>,
    /// Its names from the mount's root, where that matters.
    pub(super) position: Vec<String>,
    /// The names from it to where the walk starts.
    pub(super) at: Vec<String>,
    /// Whether the open directory must not be left.
    pub(super) floor: bool,
    /// Whether paths may change something.
    pub(super) mutate: bool,
    /// Whether each name is to be looked at here, whatever it takes.
    pub(super) look: bool,
}

/// Where a walk has led.
pub(super) enum Walked {
    Here(Place),
    /// Onto something that is mounted in it.
    Down {
        mount: MountNo,
        rest: String,
        links: u32,
    },
    /// Above its root; the rest starts with `..`.
    Up {
        rest: String,
        links: u32,
    },
}

pub(super) fn walk(base: &Base, path: &str, ending: Ending, mut links: u32) -> Result<Walked, ErrorCode> {
    check(path)?;
    let mount = &base.mount;
    let special = !mount.nested.is_empty() || !mount.files.is_empty() || !base.at.is_empty() || base.look;
    if !special && !path.split('/').any(|name| name == "..") {
        return Ok(Walked::Here(Place::unseen(base, path)));
    }
    let follow = ending == Ending::Object(Follow::Yes);
    let mut at = base.at.clone();
    let mut path = path.to_owned();
    loop {
        let start = path.len() - path.trim_start_matches('/').len();
        let end =
            path.get(start..).and_then(|tail| tail.find('/')).map_or(path.len(), |length| start + length);
        let name = path.get(start..end).unwrap_or_default().to_owned();
        let behind = path.get(end..).unwrap_or_default().to_owned();
        let is_last = behind.bytes().all(|byte| byte == b'/');
        let slashes = is_last && !behind.is_empty();
        if name.len() > NAME_BYTES_MAX {
            return Err(ErrorCode::NameTooLong);
        }
        match name.as_str() {
            "" | "." => {}
            ".." => {
                if at.pop().is_none() {
                    if base.floor {
                        return Err(ErrorCode::NotPermitted);
                    }
                    let rest = path.get(start..).unwrap_or_default().to_owned();
                    return Ok(Walked::Up { rest, links });
                }
            }
            _ => {
                let mut full = base.position.clone();
                full.extend(at.iter().cloned());
                let in_root = full.is_empty();
                full.push(name.clone());
                if let Some(nested) = mount.nested_at(&full) {
                    if is_last && ending == Ending::Name {
                        return Ok(Walked::Here(Place::mountpoint(base)));
                    }
                    return Ok(Walked::Down { mount: nested, rest: rest_below(&behind), links });
                }
                if in_root && !mount.files.is_empty() {
                    return match mount.file(&name) {
                        Some(file) if is_last && !slashes => {
                            Ok(Walked::Here(Place::mapped(base, full, file)?))
                        }
                        Some(_) => Err(ErrorCode::NotDirectory),
                        None if is_last => Ok(Walked::Here(Place::hidden(base))),
                        None => Err(ErrorCode::NoEntry),
                    };
                }
                at.push(name.clone());
                if is_last && !follow && !slashes {
                    return Ok(Walked::Here(Place::new(base, at.clone(), at.join("/"))));
                }
                let here = at.join("/");
                match base.handle.stat_at(PathFlags::empty(), &here).map(|stat| stat.type_) {
                    Ok(DescriptorType::SymbolicLink) if !(is_last && ending == Ending::Name) => {
                        at.pop();
                        links += 1;
                        if links > SYMLINK_DEPTH_MAX {
                            return Err(ErrorCode::Loop);
                        }
                        let target = base.handle.readlink_at(&here).map_err(to_code)?;
                        if target.starts_with('/') {
                            return Err(ErrorCode::NotPermitted);
                        }
                        path = format!("{target}{behind}");
                        check(&path)?;
                        continue;
                    }
                    Ok(DescriptorType::Directory) => {}
                    _ if is_last => {}
                    // Nothing is there, and could not be made, but something is mounted below it.
                    Err(HostCode::NoEntry) if mount.leads_to_nested(&full) => {}
                    Ok(_) => return Err(ErrorCode::NotDirectory),
                    Err(error) => return Err(to_code(error)),
                }
            }
        }
        if is_last {
            let mut here = if at.is_empty() { ".".to_owned() } else { at.join("/") };
            // A last name that is dots, and slashes behind a name, mean something to the operation.
            if matches!(name.as_str(), "." | "..") && !at.is_empty() && ending == Ending::Name {
                here += "/.";
            } else if slashes {
                here += "/";
            }
            return Ok(Walked::Here(Place::new(base, at, here)));
        }
        path = behind;
    }
}

/// The path below a mountpoint, from what stands behind its name.
fn rest_below(behind: &str) -> String {
    match behind.trim_start_matches('/') {
        "" => ".".to_owned(),
        rest => rest.to_owned(),
    }
}

fn check(path: &str) -> Result<(), ErrorCode> {
    match path {
        "" => Err(ErrorCode::NoEntry),
        _ if path.len() > PATH_BYTES_MAX => Err(ErrorCode::NameTooLong),
        _ if path.contains('\0') => Err(ErrorCode::Invalid),
        _ if path.starts_with('/') => Err(ErrorCode::NotPermitted),
        _ => Ok(()),
    }
}
