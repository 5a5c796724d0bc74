//! `kvfs check-store`: the contract, claim by claim.

use super::compose::provider;
use super::provider_store::{Program, ProviderStore};
use super::{Busy, say};
use crate::CheckStoreArgs;
use anyhow::{Context, Result, bail};
use kvfs_host::{StoreError, SyncStore, conformance, open_store};
use std::process::ExitCode;

/// Exit code for a store that does not keep the contract, beside 1 for one that could not be checked.
const BROKEN: u8 = 4;

/// Makes the store once more, as after the end of whoever had it.
type Open<'a> = dyn FnMut() -> Result<Box<dyn SyncStore>> + 'a;

pub(crate) fn check_store(args: &CheckStoreArgs) -> Result<ExitCode> {
    match (&args.store, &args.provider) {
        (Some(url), _) => check(&mut || Ok(Box::new(open_store(url)?))),
        (None, Some(name)) => {
            let Some(bytes) = provider(name)?.to_component().context(name.clone())? else {
                bail!("{name} is no provider; check a store of the host with --store");
            };
            let program = Program::new(&bytes, &args.dir).with_context(|| name.clone())?;
            check(&mut || Ok(Box::new(ProviderStore::start(&program)?)))
        }
        (None, None) => bail!("there is nothing to check; give --store or --provider"),
    }
}

fn check(open: &mut Open<'_>) -> Result<ExitCode> {
    let busy = Busy::new("checking");
    let store = open()?;
    let durable = store.limits()?.durable;
    let mut report = conformance::check(&*store);
    drop(store);
    if durable && report.passed() {
        let mut open = || open().map_err(|error| StoreError::Other(format!("{error:#}")));
        report.outcomes.extend(conformance::check_reopening(&mut open).outcomes);
    }
    drop(busy);
    let failed = report.outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
    say(&format!("{report}{} claims checked, {failed} do not hold\n", report.outcomes.len()))?;
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) })
}
