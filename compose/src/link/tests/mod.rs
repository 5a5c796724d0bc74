//! The parts of linking, run in wasmtime: each beside something that is known to be right.

mod direct;
mod function;
mod handles;
mod lifecycle;
mod refusal;
mod text;
mod values;

use super::glue::TEXT;
use super::handles::TABLE;
use super::items::Space;
use super::job::Part;
use super::module::GlueImport;
use std::sync::{Arc, OnceLock};
use wasm_encoder::ExportKind;
use wasmtime::{
    Config, Engine, Extern, Func, Instance, Memory, Module, Store, TypedFunc, WasmParams, WasmResults,
};

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
    let names: Vec<_> = module.imports().map(|i| (i.module().to_owned(), i.name().to_owned())).collect();
    let imports: Vec<_> = names.iter().map(|(module, name)| import(store, module, name)).collect();
    Instance::new(store, module, &imports).unwrap()
}

/// A caller and a callee with glue between them.
struct Glued {
    caller: Module,
    callee: Module,
    glue: Module,
    imports: Vec<GlueImport>,
    /// The callee's names of its functions, by the glue's numbers.
    names: Vec<&'static str>,
    text: Module,
    table: Module,
}

impl Glued {
    fn new(
        engine: &Engine,
        [caller, callee, glue]: [&[u8]; 3],
        imports: Vec<(GlueImport, ExportKind)>,
        names: &[&'static str],
    ) -> wasmtime::Result<Self> {
        Ok(Self {
            caller: Module::new(engine, caller)?,
            callee: Module::new(engine, callee)?,
            glue: Module::new(engine, glue)?,
            imports: imports.into_iter().map(|(import, _)| import).collect(),
            names: names.to_vec(),
            text: Module::new(engine, TEXT)?,
            table: Module::new(engine, TABLE)?,
        })
    }

    /// Makes instances of the caller and the callee.
    fn instantiate(&self, store: &mut Store<()>) -> (Instance, Instance) {
        let table = instantiate(store, &self.table, |store, _, _| Func::wrap(store, |_: u32| ()).into());
        let callee = instantiate(store, &self.callee, |_, module, name| panic!("{module} {name}"));
        // The caller imports the glue, and the glue the caller: a stand-in until both are there.
        let slot = Arc::new(OnceLock::<Func>::new());
        let caller = instantiate(store, &self.caller, |store, _, _| {
            let ty = self.caller.imports().next().unwrap().ty().unwrap_func().clone();
            let behind = slot.clone();
            Func::new(store, ty, move |mut cx, params, results| {
                behind.get().unwrap().call(&mut cx, params, results)
            })
            .into()
        });
        let (inside, outside) = (memory(store, &callee, "memory"), memory(store, &caller, "memory"));
        let glue = instantiate(store, &self.glue, |store, _, number| {
            match &self.imports[number.parse::<usize>().unwrap()] {
                GlueImport::Item(of, (Space::CoreMemory, _)) => {
                    if *of == Part::Guest { outside } else { inside }.into()
                }
                GlueImport::Item(Part::Guest, _) => caller.get_export(store, "cabi_realloc").unwrap(),
                GlueImport::Item(_, (_, index)) => {
                    callee.get_export(store, self.names[*index as usize]).unwrap()
                }
                GlueImport::Text(of, _) => {
                    let memory = if *of == Part::Guest { outside } else { inside };
                    let text = instantiate(store, &self.text, |_, _, _| memory.into());
                    text.get_export(store, "check").unwrap()
                }
                GlueImport::Handles(name) => table.get_export(store, name).unwrap(),
                other => panic!("{other:?}"),
            }
        });
        slot.set(glue.get_func(&mut *store, "f").unwrap()).unwrap();
        (caller, callee)
    }
}
