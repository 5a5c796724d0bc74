//! Chooses the interfaces to wrap, from the guest's types.

use super::job::{Io, Item, Lifecycle, Wrap};
use crate::error::ComposeError;
use crate::names::InterfaceName;
use crate::types::{TypeInfo, Unbridgeable};
use wit_parser::{Resolve, WorldId, WorldItem};

/// Lists the imports of the guest that need a bridge, in the order of the world.
///
/// These are the interfaces that mention a type of `wasi:io`, except those the adapter exports, and
/// `wasi:cli/exit`. All other imports stay as they are.
///
/// # Errors
///
/// [`ComposeError::CannotBridge`] for a function outside of any interface that mentions `wasi:io`.
pub(crate) fn plan_bridge(resolve: &Resolve, world: WorldId) -> Result<Vec<Wrap>, ComposeError> {
    let info = TypeInfo { resolve };
    let mut wraps = Vec::new();
    for (key, item) in &resolve.worlds[world].imports {
        let name = resolve.name_world_key(key);
        match item {
            WorldItem::Interface { id, .. } => {
                let parsed = InterfaceName::parse(&name);
                if parsed.is_wasi02("wasi:io") || parsed.is_wasi02("wasi:filesystem") {
                    continue;
                }
                let is_exit = parsed.is_wasi02("wasi:cli") && parsed.base == "wasi:cli/exit";
                if is_exit || info.interface_types(*id).iter().any(|ty| info.mentions_io(ty)) {
                    let lifecycle = if is_exit { Lifecycle::CommitBefore } else { Lifecycle::Untouched };
                    let item = Item::Interface(*id);
                    wraps.push(Wrap { source: name.clone(), target: name, item, lifecycle });
                }
            }
            WorldItem::Function(function) => {
                let types = function.params.iter().map(|p| &p.ty).chain(&function.result);
                if let Some(ty) = types.into_iter().find(|ty| info.mentions_io(ty)) {
                    return Err(ComposeError::CannotBridge {
                        interface: "the guest's world".into(),
                        function: Some(name),
                        ty: describe(info, ty),
                        reason: "an imported function outside of any interface; put it into one".into(),
                    });
                }
            }
            WorldItem::Type { .. } => {}
        }
    }
    check(info, Io::Host, &wraps)?;
    Ok(wraps)
}

/// Lists the exports of the guest that commit when a call returns: all of them.
pub(crate) fn plan_envelope(resolve: &Resolve, world: WorldId) -> Result<Vec<Wrap>, ComposeError> {
    let info = TypeInfo { resolve };
    let mut wraps = Vec::new();
    for (number, (key, item)) in resolve.worlds[world].exports.iter().enumerate() {
        let item = match item {
            WorldItem::Interface { id, .. } => Item::Interface(*id),
            WorldItem::Function(function) => Item::Function(Box::new(function.clone())),
            WorldItem::Type { .. } => continue,
        };
        wraps.push(Wrap {
            source: format!("guest{number}"),
            target: resolve.name_world_key(key),
            item,
            lifecycle: Lifecycle::CommitAfter,
        });
    }
    check(info, Io::Virtual, &wraps)?;
    Ok(wraps)
}

/// Finds the first type that cannot be carried, before any code is written.
fn check(info: TypeInfo<'_>, callee: Io, wraps: &[Wrap]) -> Result<(), ComposeError> {
    for wrap in wraps {
        for function in wrap.functions(info.resolve) {
            if !wrap.needs_shim(info, function) {
                continue;
            }
            let fail = |ty: String, reason: &str| {
                Unbridgeable::new(ty, reason).at(&wrap.target, Some(&function.name))
            };
            if function.kind.is_async() {
                return Err(fail(
                    "an async function".into(),
                    "WASI 0.2 has no asynchronous functions; build the guest for WASI 0.2",
                ));
            }
            for ty in function.params.iter().map(|p| &p.ty).chain(&function.result) {
                if let Some(found) = info.unbridgeable(ty) {
                    return Err(found.at(&wrap.target, Some(&function.name)));
                }
            }
            if callee == Io::Virtual
                && let Some(param) = function.params.iter().find(|p| info.borrows_io(&p.ty))
            {
                return Err(fail(
                    describe(info, &param.ty),
                    "the host lends this handle for one call, and only a handle that is given away \
                     can be wrapped; take it as own",
                ));
            }
        }
        if let Item::Interface(id) = wrap.item {
            for ty in info.interface_types(id) {
                if let Some(found) = info.unbridgeable_wasi(&ty) {
                    return Err(found.at(&wrap.target, None));
                }
            }
        }
    }
    Ok(())
}

fn describe(info: TypeInfo<'_>, ty: &wit_parser::Type) -> String {
    match ty {
        wit_parser::Type::Id(id) => info.describe(info.root(*id)),
        other => format!("{other:?}").to_lowercase(),
    }
}
