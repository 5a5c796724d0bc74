//! Where a path leads in a directory of the host, and out of it.
//!
//! The host walks paths itself, and lets none leave the directory. Only where a `..` or a link might lead above the
//! mount, something is mounted in it, or not everything is visible, each name is looked at here; and so it is where
//! slashes or dots say more than the names, which hosts take in different ways: they never see them.

use super::codes::to_code;
use super::mount::HostMount;
use super::place::{Place, Tail};
use crate::bindings::exports::wasi::filesystem::types::ErrorCode;
use crate::bindings::kvfs::host_filesystem::types::{
    Descriptor as Handle, DescriptorType, ErrorCode as HostCode, PathFlags,
};
use kvfs::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX, SYMLINK_DEPTH_MAX};
use kvfs::{Crossing, Ending, Follow};
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
    /// Onto something that is mounted in it, or above its root.
    Out(Crossing),
}

pub(super) fn walk(base: &Base, path: &str, ending: Ending, mut links: u32) -> Result<Walked, ErrorCode> {
    check(path)?;
    let mount = &base.mount;
    let special = !mount.nested.is_empty() || !mount.files.is_empty() || !base.at.is_empty() || base.look;
    let is_object = matches!(ending, Ending::Object(_));
    // Where nothing is changed, the host is not asked to: it is known here what is wrong with a path.
    let refuses = (mount.read_only || !base.mutate) && !is_object;
    if !special && !refuses && !path.split('/').any(|name| matches!(name, "" | "." | "..")) {
        return Ok(Walked::Here(Place::unseen(base, path)));
    }
    let is_name = matches!(ending, Ending::Name | Ending::New);
    let follow = matches!(ending, Ending::Object(Follow::Yes) | Ending::File(Follow::Yes));
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
                if at.is_empty() && base.floor {
                    return Err(ErrorCode::NotPermitted);
                }
                if is_last && is_name {
                    return Ok(Walked::Here(Place::new(base, at, Tail::Up)));
                }
                if at.pop().is_none() {
                    let rest = path.get(start..).unwrap_or_default().to_owned();
                    return Ok(Walked::Out(Crossing::Up { rest, links }));
                }
            }
            _ => {
                let mut full = base.position.clone();
                full.extend(at.iter().cloned());
                let in_root = full.is_empty();
                full.push(name.clone());
                if slashes && matches!(ending, Ending::File(_)) {
                    return Err(ErrorCode::IsDirectory);
                }
                let tail = if slashes { Tail::Slashes } else { Tail::None };
                if let Some(nested) = mount.nested_at(&full) {
                    if is_last && is_name {
                        return Ok(Walked::Here(Place::mountpoint(base, full, tail)));
                    }
                    return Ok(Walked::Out(Crossing::down(nested, &behind, links)));
                }
                if in_root && !mount.files.is_empty() {
                    return match mount.file(&name) {
                        Some(file) if is_last && (!slashes || is_name) => {
                            Ok(Walked::Here(Place::mapped(base, full, (file, tail))?))
                        }
                        Some(_) => Err(ErrorCode::NotDirectory),
                        None if is_last => Ok(Walked::Here(Place::hidden(base, tail))),
                        None => Err(ErrorCode::NoEntry),
                    };
                }
                at.push(name.clone());
                if is_last && (is_name || !(follow || slashes)) {
                    return Ok(Walked::Here(Place::new(base, at, tail)));
                }
                let here = at.join("/");
                match base.handle.stat_at(PathFlags::empty(), &here).map(|stat| stat.type_) {
                    Ok(DescriptorType::SymbolicLink) => {
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
                    Ok(_) if slashes => return Err(ErrorCode::NotDirectory),
                    _ if is_last => {}
                    // Nothing is there, and could not be made, but something is mounted below it.
                    Err(HostCode::NoEntry) if mount.leads_to_nested(&full) => {}
                    Ok(_) => return Err(ErrorCode::NotDirectory),
                    Err(error) => return Err(to_code(error)),
                }
            }
        }
        if is_last {
            let tail = if matches!(name.as_str(), "" | ".") { Tail::Dot } else { Tail::None };
            return Ok(Walked::Here(Place::new(base, at, tail)));
        }
        path = behind;
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
