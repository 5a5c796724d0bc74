//! Checks that a provider exports the contract: function by function, so that the error names the
//! function.

use crate::error::one_line;
use crate::types::{TypeInfo, same_function};
use wit_component::DecodedWasm;
use wit_parser::{Function, InterfaceId, Resolve, WorldItem};

/// The export of a provider: the contract, in the version that the adapter imports.
pub(super) const STORE_EXPORT: &str = "kvfs:store/kv-store@0.1.0";

const CONTRACT: &str = include_str!("../../../wit/store/kv-store.wit");

/// Checks the functions of a component that exports something under the contract's name.
///
/// # Errors
///
/// Says what is missing or different.
pub(super) fn check(provider: &[u8]) -> Result<(), String> {
    let words = |error: anyhow::Error| one_line(&format!("{error:#}"));
    let (found, world) = match wit_component::decode(provider).map_err(words)? {
        DecodedWasm::Component(resolve, world) => (resolve, world),
        DecodedWasm::WitPackage(..) => return Err("it is the text of an interface".into()),
    };
    let exports = found.worlds[world].exports.iter();
    let mut interface = exports.filter_map(|(key, item)| match item {
        WorldItem::Interface { id, .. } if found.name_world_key(key) == STORE_EXPORT => Some(*id),
        _ => None,
    });
    let Some(interface) = interface.next() else { return Err(format!("its {STORE_EXPORT} is no instance")) };

    let mut contract = Resolve::default();
    contract.push_str("kv-store.wit", CONTRACT).map_err(words)?;
    for wanted in functions_of_the_contract(&contract) {
        let name = &wanted.name;
        let Some(function) = found.interfaces[interface].functions.get(name) else {
            return Err(format!("its {STORE_EXPORT} has no function `{name}`"));
        };
        let info = |resolve| TypeInfo { resolve };
        if !same_function((info(&found), function), (info(&contract), wanted)) {
            return Err(format!(
                "the function `{name}` of its {STORE_EXPORT} has other parameters or results than in the contract"
            ));
        }
    }
    Ok(())
}

fn functions_of_the_contract(contract: &Resolve) -> impl Iterator<Item = &Function> {
    let is_store = |id: &InterfaceId| contract.id_of(*id).as_deref() == Some(STORE_EXPORT);
    let store = contract.interfaces.iter().filter(move |(id, _)| is_store(id));
    store.flat_map(|(_, interface)| interface.functions.values())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_has_four_functions() {
        let mut contract = Resolve::default();
        contract.push_str("kv-store.wit", CONTRACT).unwrap();
        let names: Vec<_> = functions_of_the_contract(&contract).map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["get-limits", "get", "scan", "apply"]);
    }
}
