//! Finds out where the path of an operation leads: on volumes, on the host, and from one to the
//! other.

use super::base::Base;
use super::mount;
use super::object::HostObject;
use super::path::HostPath;
use super::walk::{Walked, walk};
use crate::bindings::exports::wasi::filesystem::types::{ErrorCode, PathFlags};
use crate::codes::to_code;
use crate::descriptor::{self, follow};
use crate::table;
use kvfs::{Crossing, Ending, Error, MountNo, Start};

type WasiResult<T> = Result<T, ErrorCode>;

/// The content of a descriptor resource.
pub(crate) enum Object {
    Volume(descriptor::Object),
    Host(HostObject),
}

/// The end of a path.
enum Reached {
    /// It stays on volumes: do the operation on the object itself.
    Own,
    /// To a volume, entered at this object with the rest of the path.
    Volume(descriptor::Object, String),
    /// To the host.
    Host(HostPath),
}

/// The ending of a path that leads to an object.
pub(super) fn object(flags: PathFlags) -> Ending {
    Ending::Object(follow(flags))
}

impl Object {
    /// The preopened root.
    pub(crate) fn root() -> Self {
        match mount::find(MountNo(0)) {
            Some(mount) => Self::Host(HostObject::root(mount)),
            None => Self::Volume(descriptor::Object::root()),
        }
    }

    /// Finds out where a path leads. With `look`, each name is looked at here, and the host walks
    /// none.
    fn reach(&self, path: &str, ending: Ending, look: bool) -> WasiResult<Reached> {
        let (base, start, mut walked) = match self {
            Self::Volume(own) => {
                let seen = table::with(|mounts| {
                    let start = own.start(mounts)?;
                    match mounts.locate(own.mount(), start, path, ending) {
                        Err(Error::Crossing(crossing)) => Ok(Some((start, *crossing))),
                        // The operation itself reports any other error.
                        _ => Ok(None),
                    }
                });
                let Some((start, crossing)) = seen.map_err(|error| to_code(&error))? else {
                    return Ok(Reached::Own);
                };
                (own.mount(), start, self.arrive(crossing, ending, start.mutates(), look)?)
            }
            Self::Host(host) => {
                let walked = (host.mount.number, walk(&Base { look, ..host.base()? }, path, ending, 0)?);
                (host.mount.number, Start::elsewhere(host.mutate), walked)
            }
        };
        loop {
            let (from, crossing) = match walked {
                (_, Walked::Here(place)) => return Ok(Reached::Host(place)),
                (from, Walked::Out(crossing)) => (from, crossing),
            };
            let mut last = None;
            let seen = table::with(|mounts| {
                let walked = mounts.resume((base, start), from, crossing, |volume, start, path| {
                    last = Some((start, path.to_owned()));
                    volume.locate(start, path, ending)
                });
                match walked {
                    Err(Error::Crossing(crossing)) => Ok(Err(*crossing)),
                    Ok((mount, ())) => Ok(Ok(mount)),
                    Err(error) => Err(error),
                }
            });
            match (seen.map_err(|error| to_code(&error))?, last) {
                (Ok(mount), Some((start, path))) => {
                    return Ok(Reached::Volume(descriptor::Object::resumed(mount, start), path));
                }
                (Ok(_), None) => return Err(ErrorCode::Io),
                (Err(crossing), _) => walked = self.arrive(crossing, ending, start.mutates(), look)?,
            }
        }
    }

    /// Walks on where a walk comes to a mount of the host.
    fn arrive(
        &self,
        crossing: Crossing,
        ending: Ending,
        mutate: bool,
        look: bool,
    ) -> WasiResult<(MountNo, Walked)> {
        let Crossing::Elsewhere { mount: number, from, rest, links } = crossing else {
            return Err(ErrorCode::Io);
        };
        let mount = mount::find(number).ok_or(ErrorCode::Io)?;
        let covered = mount.nested.iter().find(|(_, inner)| Some(*inner) == from);
        let covered = covered.map(|(path, _)| path.clone()).unwrap_or_default();
        let base = match self {
            // Back on the mount where it began, the walk must still not leave the open directory.
            Self::Host(host) if host.mount.number == number && covered.starts_with(host.position()) => {
                let at = covered.get(host.position().len()..).unwrap_or_default().to_vec();
                Base { at, look, ..host.base()? }
            }
            _ => {
                let handle = mount.root()?;
                Base { mount, handle, position: Vec::new(), at: covered, floor: false, mutate, look }
            }
        };
        Ok((number, walk(&base, &rest, ending, links)?))
    }

    /// Does an operation where a path leads, on a volume or on the host.
    pub(super) fn at<T>(
        &self,
        path: &str,
        ending: Ending,
        volume: impl FnOnce(&descriptor::Object, &str) -> WasiResult<T>,
        host: impl Fn(&HostPath) -> WasiResult<T>,
    ) -> WasiResult<T> {
        let mut reached = self.reach(path, ending, false)?;
        if let Reached::Host(place) = &reached {
            match host(place) {
                Err(ErrorCode::NotPermitted) if place.may_lead_out => {
                    reached = self.reach(path, ending, true)?;
                }
                done => return done,
            }
        }
        match (reached, self) {
            (Reached::Host(place), _) => host(&place),
            (Reached::Volume(object, path), _) => volume(&object, &path),
            (Reached::Own, Self::Volume(object)) => volume(object, path),
            (Reached::Own, Self::Host(_)) => Err(ErrorCode::Io),
        }
    }

    /// Does an operation where two paths lead, each with its ending. Both must be on one mount.
    pub(super) fn at_both<T>(
        &self,
        path: &str,
        (other, other_path): (&Self, &str),
        (ending, other_ending): (Ending, Ending),
        volume: impl FnOnce((&descriptor::Object, &str), (&descriptor::Object, &str)) -> WasiResult<T>,
        host: impl FnOnce(&HostPath, &HostPath) -> WasiResult<T>,
    ) -> WasiResult<T> {
        let one = self.reach(path, ending, true)?;
        let two = match other.reach(other_path, other_ending, true) {
            Ok(two) => two,
            Err(error) => {
                // Errors of the first path are reported first.
                self.check(&one, path, ending)?;
                return Err(error);
            }
        };
        if let (Reached::Host(one), Reached::Host(two)) = (&one, &two)
            && one.mount.number == two.mount.number
        {
            return host(one, two);
        }
        match (on_volume(&one, self, path), on_volume(&two, other, other_path)) {
            (Some(one), Some(two)) => volume(one, two),
            // Errors of a single path are reported first.
            _ => {
                self.check(&one, path, ending)?;
                other.check(&two, other_path, other_ending)?;
                Err(ErrorCode::CrossDevice)
            }
        }
    }

    /// Fails as the operation would on this path alone. Walking it may not have found the error.
    fn check(&self, reached: &Reached, path: &str, ending: Ending) -> WasiResult<()> {
        match (reached, self) {
            (Reached::Host(place), _) => place.check(ending),
            (Reached::Own, Self::Volume(own)) => {
                let located = table::with(|mounts| {
                    let start = own.start(mounts)?;
                    mounts.locate(own.mount(), start, path, ending).map(drop)
                });
                located.map_err(|error| to_code(&error))
            }
            (Reached::Own | Reached::Volume(..), _) => Ok(()),
        }
    }
}

/// Returns the start of an operation on volumes; `None` if the path has led to the host.
fn on_volume<'r>(
    reached: &'r Reached,
    object: &'r Object,
    path: &'r str,
) -> Option<(&'r descriptor::Object, &'r str)> {
    match (reached, object) {
        (Reached::Volume(object, path), _) => Some((object, path)),
        (Reached::Own, Object::Volume(object)) => Some((object, path)),
        _ => None,
    }
}
