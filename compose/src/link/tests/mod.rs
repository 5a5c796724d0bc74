//! The parts of linking, run in wasmtime: each beside something that is known to be right.

mod handles;
mod joint;
mod lifecycle;
mod refusal;
mod text;
mod values;

use wasmtime::{Config, Engine, Extern, Instance, Memory, Module, Store, TypedFunc, WasmParams, WasmResults};

/// Numbers from a seed: SplitMix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// An engine on which many traps cost little.
fn engine() -> Engine {
    let mut config = Config::new();
    config.wasm_backtrace_max_frames(None);
    config.cranelift_opt_level(wasmtime::OptLevel::None);
    Engine::new(&config).unwrap()
}

fn function<P: WasmParams, R: WasmResults>(
    store: &mut Store<()>,
    of: &Instance,
    name: &str,
) -> TypedFunc<P, R> {
    of.get_typed_func(store, name).unwrap()
}

fn memory(store: &mut Store<()>, of: &Instance, name: &str) -> Memory {
    of.get_memory(store, name).unwrap()
}

/// Instantiates a module with what `import` gives for the names it asks for.
fn instantiate(
    store: &mut Store<()>,
    module: &Module,
    mut import: impl FnMut(&mut Store<()>, &str, &str) -> Extern,
) -> Instance {
    let wanted: Vec<_> = module.imports().map(|i| (i.module().to_owned(), i.name().to_owned())).collect();
    let imports: Vec<_> = wanted.iter().map(|(module, name)| import(store, module, name)).collect();
    Instance::new(store, module, &imports).unwrap()
}
