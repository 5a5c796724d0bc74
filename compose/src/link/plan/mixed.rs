//! Plans the module for calls with handles of both sides.

use super::planner::Planner;
use crate::link::error::NotLinkable;
use crate::link::items::Space;
use crate::link::job::Part;
use crate::link::mixed::{self, Probe, Wrapping};
use crate::link::module::{GlueImport, GlueModule};
use crate::names::InterfaceName;
use crate::types::IoResource;

impl Planner<'_> {
    pub(super) fn mixed(&mut self) -> Result<usize, NotLinkable> {
        let mut wrappings = Vec::new();
        let host = self.job.host_io.as_deref().unwrap_or_default();
        let named = |interface: &str| {
            let name = host
                .iter()
                .map(|(_, name)| name)
                .find(|name| InterfaceName::parse(name).base == format!("wasi:io/{interface}"));
            name.cloned()
                .ok_or_else(|| NotLinkable::new(format!("the host's wasi:io/{interface} has no name")))
        };
        for io in IoResource::ALL.into_iter().filter(|_| !host.is_empty()) {
            let bridge = |verb: &str| -> Result<GlueImport, NotLinkable> {
                Ok(self.core(self.lift("kvfs:adapter/bridge", &format!("{verb}-{}", io.name()))?))
            };
            let probe = match io {
                IoResource::InputStream | IoResource::OutputStream => Probe::Subscribe(
                    GlueImport::HostFunction(
                        named(io.interface())?,
                        if io == IoResource::InputStream {
                            "[method]input-stream.subscribe"
                        } else {
                            "[method]output-stream.subscribe"
                        },
                    ),
                    GlueImport::HostDrop(named("poll")?, "pollable".to_owned()),
                ),
                IoResource::Pollable => {
                    Probe::Ready(GlueImport::HostFunction(named("poll")?, "[method]pollable.ready"))
                }
                IoResource::Error => {
                    let describe = self.lift("wasi:io/error", "[method]error.to-debug-string")?;
                    let post_return = describe.options.post_return;
                    let post_return =
                        post_return.map(|index| GlueImport::Item(Part::Adapter, (Space::CoreFunc, index)));
                    Probe::Describe(self.core(describe), post_return)
                }
            };
            let key = (format!("wasi:io/{}", io.interface()), io.name().to_owned());
            let kind = self.kinds_by_name.get(&key).copied();
            wrappings.push(Wrapping {
                kind: kind.ok_or_else(|| NotLinkable::new(format!("the adapter has no {}", io.name())))?,
                wrap: bridge("wrap")?,
                unwrap: bridge("unwrap")?,
                lend: bridge("lend")?,
                probe,
            });
        }
        let memory = self.lift("wasi:io/error", "[method]error.to-debug-string")?.options.memory;
        let memory = memory.ok_or_else(|| NotLinkable::new("the adapter has no memory"))?;
        let mut module = GlueModule::default();
        let memory = GlueImport::Item(Part::Adapter, (Space::CoreMemory, memory));
        mixed::write(&mut module, &wrappings, memory);
        Ok(self.planned(module))
    }
}
