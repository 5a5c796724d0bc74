//! Makes a component of a core module that comes with the library, for one guest.

use crate::guest::Guest;
use crate::names::InterfaceName;
use std::collections::HashMap;
use wit_component::ComponentEncoder;

/// Encodes a core module. It imports WASI under the guest's names, so that the host is asked for the
/// version that the guest was made for. The component is not validated: the result is, as a whole.
pub(crate) fn encode_for(core: &[u8], guest: &Guest<'_>) -> anyhow::Result<Vec<u8>> {
    let (_, bindgen) = wit_component::metadata::decode(core)?;
    let mut names = HashMap::new();
    for key in bindgen.resolve.worlds[bindgen.world].imports.keys() {
        let import = bindgen.resolve.name_world_key(key);
        let name = InterfaceName::parse(&import);
        if name.base.starts_with("wasi:") {
            names.insert(import, guest.host_name(&name.base));
        }
    }
    ComponentEncoder::default().validate(false).import_name_map(names).module(core)?.encode()
}
