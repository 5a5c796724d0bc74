//! An engine with the pooling allocator, for many instances of one component.

use anyhow::Context;
use wasmtime::component::Component;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::engine;

/// More core instances than the guests here have after joining: the guest's own, those that adapt it,
/// the file system's, a provider's, and those between them. Places that stay empty cost little.
const MAX_CORE_INSTANCES: u32 = 24;

/// Makes an engine with room for `count` instances of a component, and compiles the component for
/// it. `host/BOUNDS.md` shows the settings.
///
/// # Errors
///
/// The component does not compile, or the address space does not suffice for so many memories.
pub fn compile(component: &[u8], count: u32) -> anyhow::Result<(Engine, Component)> {
    let mut config = Config::new();
    config.cache(Some(engine::cache()));
    config.concurrency_support(false);
    let needs = Component::new(&Engine::new(&config)?, component)?.resources_required();
    let needs = needs.context("the component imports modules or components")?;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(count)
        .total_core_instances(count.saturating_mul(MAX_CORE_INSTANCES))
        .total_memories(count.saturating_mul(needs.num_memories))
        .total_tables(count.saturating_mul(needs.num_tables));
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config)?;
    let component = Component::new(&engine, component)?;
    Ok((engine, component))
}
