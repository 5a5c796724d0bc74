//! Makes the parts of a result into a result again: `TRUST.md` of this crate says why.

use crate::check::Validation;
use crate::error::ComposeError;
use crate::join::Ingredients;
use crate::mounts::{FixedSource, check_config};
use crate::parts::{self, ADAPTER, ADAPTER_WITH_HOST, Claimed, Guest};
use crate::provider::Provider;
use crate::report::Report;
use crate::shared::check_directories;
use crate::wasm::Outline;
use std::borrow::Cow;

/// What [`recompose`] has made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recomposed<'a> {
    /// The component: the bytes that were given, if this build makes the same of their parts.
    pub bytes: Cow<'a, [u8]>,
    /// Where its store is.
    pub provider: Provider,
    /// What was done, as [`Compose::build`](crate::Compose::build) tells it, but for its mounts: these are in
    /// [`fixed_mounts`](crate::fixed_mounts).
    pub report: Report,
}

impl Recomposed<'_> {
    /// Whether the bytes that were given are what this build makes of their parts. Otherwise another build made them, or
    /// somebody has changed them since.
    pub fn is_same(&self) -> bool {
        matches!(self.bytes, Cow::Borrowed(_))
    }

    /// Fails if the store of the host would go to more than the file system: to a provider of its own.
    pub(crate) fn check_store(&self) -> Result<(), ComposeError> {
        if !self.provider.is_of_its_own() {
            return Ok(());
        }
        match Outline::read(&self.bytes)?.store_import() {
            Some(interface) => Err(ComposeError::ProviderAsksForStore { interface: interface.to_owned() }),
            None => Ok(()),
        }
    }
}

/// Composes the parts of a result again, so that it can be given a store whoever made it.
///
/// A result is a component like any other: everything that it says of itself can be forged. Before an untrusted one is
/// instantiated with a store or a preopened directory, take what this returns in its place.
///
/// What is safe then is the store beside the volumes that it mounts, and directories that it does not mount. Which these
/// are it says itself: see [`fixed_mounts`](crate::fixed_mounts). A result of [`Compose::adapter`](crate::Compose::adapter)
/// gets the adapter of this library. It is not validated: the runtime does that when it compiles it.
///
/// # Errors
///
/// [`ComposeError::UnknownParts`] for what says nothing of its parts, or something that this version does not know;
/// [`ComposeError::AsksForStore`] if it imports the store nevertheless; [`ComposeError::ProviderAsksForStore`] if a provider of
/// its own does; and all that composing can fail with.
///
/// # Cost
///
/// That of composing without the validation: some 80 ms for a guest of 40 MB.
///
#[doc = include_str!("../TRUST.md")]
pub fn recompose(bytes: &[u8]) -> Result<Recomposed<'_>, ComposeError> {
    let made = make_again(bytes)?;
    made.check_store()?;
    Ok(made)
}

/// Whether [`recompose`] is likely to return the bytes that it is given: they say that this version made them, and have the
/// code of this library's file system in them. It is a guess, for who could do something else meanwhile.
///
/// # Cost
///
/// Looks at the sections of the file.
pub fn may_be_same(bytes: &[u8]) -> bool {
    Claimed::read(bytes).is_some_and(|claimed| claimed.mark.version == env!("CARGO_PKG_VERSION"))
        && parts::has_code_of(bytes, &[ADAPTER, ADAPTER_WITH_HOST])
}

/// As [`recompose`], with a provider of any kind.
pub(crate) fn make_again(bytes: &[u8]) -> Result<Recomposed<'_>, ComposeError> {
    let Some(claimed) = Claimed::read(bytes) else {
        return Err(match Outline::read(bytes)?.store_import() {
            Some(interface) => ComposeError::AsksForStore { interface: interface.to_owned() },
            None => ComposeError::UnknownParts,
        });
    };
    let mark = &claimed.mark;
    let mut provider = mark.provider().ok_or(ComposeError::UnknownParts)?;
    if mark.has_own_provider() {
        provider = Provider::Component(claimed.provider().into_owned());
    }
    // As it is written: what is left out or written twice would not come back.
    if !provider.is_of_its_own() && parts::provider_lines(&provider) != mark.provider {
        return Err(ComposeError::UnknownParts);
    }
    let mounts = check_config(&mark.config, claimed.images);
    let mounts = mounts.map_err(|reason| ComposeError::BadParts { reason })?;
    let hosts = || {
        mounts.iter().filter_map(|mount| match &mount.source {
            FixedSource::Host { preopen, .. } => Some((mount.path.clone(), preopen.clone())),
            _ => None,
        })
    };
    check_directories(&provider, hosts())?;
    let guest = claimed.guest();
    let mounts_host = hosts().next().is_some();
    let composed = Ingredients {
        guest: Guest::read(&guest)?,
        adapter: if mounts_host { ADAPTER_WITH_HOST } else { ADAPTER },
        config: mark.config.clone(),
        images: Cow::Borrowed(claimed.images),
        mounts_host,
        provider: &provider,
        shared: &mark.shared,
        link: mark.link,
    }
    .join(Validation::Later)?;
    let made = if composed.bytes == bytes { Cow::Borrowed(bytes) } else { Cow::Owned(composed.bytes) };
    let mut report = composed.report;
    report.store = provider.to_string();
    Ok(Recomposed { bytes: made, provider, report })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::Compose;
    use crate::options::Link;
    use crate::parts::{Mark, Parts};
    use wasm_encoder::{ComponentSection, RawSection};

    /// A file that says it is made of a guest, with nothing in it but that.
    fn claiming(guest: &[u8]) -> Vec<u8> {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        RawSection { id: 4, data: guest }.append_to_component(&mut bytes);
        let parts = Parts { guest, provider: &[], images: 0..0 };
        let mark = Mark { version: env!("CARGO_PKG_VERSION").into(), ..Mark::default() };
        parts::append(&mut bytes, &mark, &parts).unwrap();
        bytes
    }

    #[test]
    fn a_claim_is_worth_what_its_guest_is() {
        let guest = wat::parse_str(include_str!("../tests/golden/link/guest.wat")).unwrap();
        let composed = Compose::new(&guest).build().unwrap().bytes;
        let made = recompose(&composed).unwrap();
        assert!(made.is_same() && made.bytes == composed);
        assert!(may_be_same(&composed));
        assert!(may_be_same(&Compose::new(&guest).link(Link::Core).build().unwrap().bytes));
        // Nothing was composed here, and yet the guest is: what comes out is a composition like any other.
        let empty = claiming(&guest);
        let made = recompose(&empty).unwrap();
        assert!(!made.is_same() && made.bytes == composed);
        assert!(!may_be_same(&empty), "it has not the library's file system");

        for result in [composed, Compose::new(&guest).link(Link::Core).build().unwrap().bytes] {
            assert!(matches!(recompose(&claiming(&result)), Err(ComposeError::AlreadyComposed)));
        }
        let thief = wat::parse_str(include_str!("../tests/golden/asks-for-the-store/guest.wat")).unwrap();
        assert!(matches!(recompose(&claiming(&thief)), Err(ComposeError::AsksForStore { .. })));
        assert!(matches!(recompose(&claiming(b"junk")), Err(ComposeError::NotWasm)));
    }
}
