//! Composes the parts of a result again. `TRUST.md` of this crate says why.

use crate::check::Validation;
use crate::error::ComposeError;
use crate::join::Ingredients;
use crate::mounts::{FixedSource, check_config};
use crate::parts::{self, ADAPTERS, Claimed, Guest, adapter_for};
use crate::provider::Provider;
use crate::report::Report;
use crate::shared::check_directories;
use crate::wasm::Outline;
use std::borrow::Cow;

/// A result that was composed again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recomposed<'a> {
    /// The component: the given bytes, if this build makes the same of their parts.
    pub bytes: Cow<'a, [u8]>,
    /// Where its store is.
    pub provider: Provider,
    /// The report, as [`Compose::build`](crate::Compose::build) gives it but without mounts: see
    /// [`fixed_mounts`](crate::fixed_mounts) for those.
    pub report: Report,
}

impl Recomposed<'_> {
    /// Returns true if this build makes exactly the given bytes of their parts. Otherwise another
    /// build made them, or they were changed since.
    pub fn is_same(&self) -> bool {
        matches!(self.bytes, Cow::Borrowed(_))
    }

    /// Fails if a provider that does not come with the library would reach the store of the host.
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

/// Composes the parts of a result again, so that it is safe to give it a store whoever made it.
///
/// A result is a component like any other: every statement in it can be forged. Before an untrusted
/// result gets a store or a preopened directory, replace it by the return value of this function.
///
/// The guest then reaches only the volumes and directories that it mounts. The result states its
/// mounts itself: see [`fixed_mounts`](crate::fixed_mounts). A result of
/// [`Compose::adapter`](crate::Compose::adapter) gets the adapter of this library. The bytes are
/// not validated: the runtime validates them when it compiles them.
///
/// # Errors
///
/// - [`ComposeError::UnknownParts`] if the bytes state no parts, or in a form that this version
///   does not know;
/// - [`ComposeError::AsksForStore`] if they import the store nevertheless;
/// - [`ComposeError::ProviderAsksForStore`] if a provider does, and does not come with the library;
/// - every error of composing.
///
/// # Cost
///
/// As composing without validation: about 80 ms for a guest of 40 MB.
///
#[doc = include_str!("../TRUST.md")]
pub fn recompose(bytes: &[u8]) -> Result<Recomposed<'_>, ComposeError> {
    let made = make_again(bytes)?;
    made.check_store()?;
    Ok(made)
}

/// Returns true if [`recompose`](crate::recompose()) is likely to return the given bytes: they
/// state this version of kvfs, and contain the code of this library's file system. A caller may use
/// the guess to compile them meanwhile.
///
/// # Cost
///
/// Reads the sections of the file.
pub fn may_be_same(bytes: &[u8]) -> bool {
    Claimed::read(bytes).is_some_and(|claimed| claimed.mark.version == env!("CARGO_PKG_VERSION"))
        && parts::has_code_of(bytes, &ADAPTERS)
}

/// As [`recompose`](crate::recompose()), without the check for a provider that imports the store.
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
    // Composing again must write the same lines: a missing or repeated line would be lost.
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
        adapter: adapter_for(mounts_host, &mark.config),
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

    /// A file that states a guest as its part, and contains nothing else.
    fn claiming(guest: &[u8]) -> Vec<u8> {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        RawSection { id: 4, data: guest }.append_to_component(&mut bytes);
        let parts = Parts { guest, provider: &[], images: 0..0 };
        let mark = Mark { version: env!("CARGO_PKG_VERSION").into(), ..Mark::default() };
        parts::append(&mut bytes, &mark, &parts).unwrap();
        bytes
    }

    #[test]
    fn a_statement_is_only_as_good_as_its_guest() {
        let guest = wat::parse_str(include_str!("../tests/golden/link/guest.wat")).unwrap();
        let composed = Compose::new(&guest).build().unwrap().bytes;
        let made = recompose(&composed).unwrap();
        assert!(made.is_same() && made.bytes == composed);
        assert!(may_be_same(&composed));
        assert!(may_be_same(&Compose::new(&guest).link(Link::Core).build().unwrap().bytes));
        // The file is no composition, and its guest is composed like any other.
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
