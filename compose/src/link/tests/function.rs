//! Joined functions against the runtime: the same two core modules, with glue between them and as
//! two components.
//!
//! Both memories must be the same after a call, byte for byte; they are filled with a pattern
//! before, so that a byte which is not part of a value shows if it is carried. A call traps one way
//! if and only if it does the other.

use super::super::direct::Direct;
use super::super::function::{FunctionGlue, SideImports, signature};
use super::super::items::Space;
use super::super::module::{GlueImport, GlueModule};
use super::values::{Values, Wit};
use super::*;
use crate::types::TypeInfo;
use std::collections::HashMap;
use std::fmt::Write;
use wasm_encoder::{ComponentBuilder, ComponentExportKind, ValType};
use wasmtime::component;
use wasmtime::component::{Component, Linker};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::abi::AbiVariant;
use wit_parser::{Function, Resolve, SizeAlign, SourceMap};

/// Where flat values, the flat result and values in memory are, and where the allocator begins.
pub(super) const FLAT: usize = 0;
pub(super) const FLAT_RESULT: usize = 256;
const VALUES: usize = 512;
const RESULT: usize = 5120;
const HEAP: usize = 6144;

/// The behaviour of an allocator: wrong, or right in an unusual way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allocator {
    Good,
    Unaligned,
    OutOfBounds,
    JustOutOfBounds,
    Null,
    Grows,
    CallsBack,
}

impl Allocator {
    const ALL: [Self; 7] = [
        Self::Good,
        Self::Unaligned,
        Self::OutOfBounds,
        Self::JustOutOfBounds,
        Self::Null,
        Self::Grows,
        Self::CallsBack,
    ];
}

/// The parts that both modules have: a memory, an allocator, and ways to look and to prepare.
pub(super) const COMMON: &str = r#"
  (memory $memory (export "memory") 1)
  (func $fill
    (memory.fill (i32.const 0) (i32.const 0xc5) (i32.const 65536)))
  (start $fill)
  (global $top (mut i32) (i32.const 6144))
  (global $mode (mut i32) (i32.const 0))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and
      (i32.add (global.get $top) (i32.sub (local.get 2) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get 2))))
    (if (i64.gt_u
          (i64.add (i64.extend_i32_u (local.get $at)) (i64.extend_i32_u (local.get 3)))
          (i64.const 65536))
      (then (unreachable)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (if (i32.eq (global.get $mode) (i32.const 1)) (then (return (i32.add (local.get $at) (i32.const 1)))))
    (if (i32.eq (global.get $mode) (i32.const 2)) (then (return (i32.const 0xfffffff0))))
    (if (i32.eq (global.get $mode) (i32.const 3)) (then (return (i32.const 65536))))
    (if (i32.eq (global.get $mode) (i32.const 4)) (then (return (i32.const 0))))
    (if (i32.eq (global.get $mode) (i32.const 5))
      (then (return (i32.shl (memory.grow (i32.const 1)) (i32.const 16)))))
    (if (i32.eq (global.get $mode) (i32.const 6)) (then (call $call-back)))
    (local.get $at))
  (func (export "test:t/ctl#mode") (param i32) (global.set $mode (local.get 0)))
  (func (export "test:t/ctl#poke") (param i32 i64) (i64.store (local.get 0) (local.get 1)))
  (func (export "test:t/ctl#peek") (param i32) (result i64) (i64.load (local.get 0)))
  (func (export "test:t/ctl#size") (result i32) (memory.size))
  (func (export "test:t/ctl#sum") (result i64)
    (local $at i32) (local $sum i64)
    (loop $next
      (local.set $sum (i64.mul
        (i64.xor (i64.rotl (local.get $sum) (i64.const 5)) (i64.load (local.get $at)))
        (i64.const 0x9e3779b97f4a7c15)))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $at) (i32.shl (memory.size) (i32.const 16)))))
    (local.get $sum))
"#;

const CTL: &str = "
interface ctl {
  mode: func(n: u32);
  poke: func(at: u32, value: u64);
  peek: func(at: u32) -> u64;
  size: func() -> u32;
  sum: func() -> u64;
  go: func();
}
world callee { export i; export ctl; }
world caller { import i; export ctl; }
";

fn name(ty: ValType) -> &'static str {
    match ty {
        ValType::I32 => "i32",
        ValType::I64 => "i64",
        ValType::F32 => "f32",
        _ => "f64",
    }
}

fn types(keyword: &str, types: &[ValType]) -> String {
    let names: Vec<_> = types.iter().map(|ty| name(*ty)).collect();
    if names.is_empty() { String::new() } else { format!("({keyword} {})", names.join(" ")) }
}

/// A function between two modules, both ways.
struct Rig {
    wit: String,
    resolve: Resolve,
    engine: Engine,
    glued: Glued,
    component: Component,
}

/// The lower parts of both memories before a call.
struct Prepared {
    caller: Vec<u8>,
    callee: Vec<u8>,
}

/// Both memories after a call that came back: their sums, or all of them.
#[derive(PartialEq, Eq)]
struct After {
    sums: [u64; 2],
    memories: Option<[Vec<u8>; 2]>,
}

impl Rig {
    fn new(engine: &Engine, interface: &str) -> Self {
        let wit = format!("package test:t;\ninterface i {{\n{interface}}}\n{CTL}");
        let mut resolve = Resolve::default();
        let mut map = SourceMap::default();
        map.push(std::path::Path::new("test.wit"), &wit);
        let group = map.parse().map_err(|(_, e)| format!("{e}\n{wit}")).unwrap();
        let package = resolve.push_group(group).unwrap();
        let function = Self::function(&resolve);
        let info = TypeInfo { resolve: &resolve };
        let outside = signature(info, AbiVariant::GuestImport, function);
        let inside = signature(info, AbiVariant::GuestExport, function);
        let caller = caller_text(&outside);
        let callee = callee_text(&inside);

        let mut glue = GlueModule::default();
        let mut layout = SizeAlign::default();
        layout.fill(&resolve);
        let item = |part, space, index| GlueImport::Item(part, (space, index));
        let side_imports = |part| SideImports {
            memory: Some(item(part, Space::CoreMemory, 0)),
            realloc: Some(item(part, Space::CoreFunc, 0)),
        };
        let resources = HashMap::new();
        let function_glue = FunctionGlue {
            info,
            layout: &layout,
            function,
            caller: side_imports(Part::Guest),
            callee: side_imports(Part::Adapter),
            target: item(Part::Adapter, Space::CoreFunc, 1),
            post_return: Some(item(Part::Adapter, Space::CoreFunc, 2)),
            original: None,
            resources: &resources,
            host_handles: false,
            check_params: Some(GlueImport::Text(Part::Adapter, (Space::CoreMemory, 0))),
            check_results: Some(GlueImport::Text(Part::Guest, (Space::CoreMemory, 0))),
            guard_caller: true,
            direct: Direct::Not,
        };
        function_glue.write(&mut glue, "f").unwrap();
        let (glue, imports) = glue.finish();

        let encode = |text: &str, world: &str| {
            let mut module = wat::parse_str(text).unwrap();
            let world = resolve.select_world(&[package], Some(world)).unwrap();
            wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
                .unwrap();
            ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
        };
        let component = join(&encode(&caller, "caller"), &encode(&callee, "callee"));
        let core = |text: &str| wat::parse_str(text).unwrap();
        let names = ["cabi_realloc", "test:t/i#f", "cabi_post_test:t/i#f"];
        let glued = Glued::new(engine, [&core(&caller), &core(&callee), &glue], imports, &names)
            .map_err(|e| format!("{e:#}\n{wit}"))
            .unwrap();
        Self {
            glued,
            component: Component::new(engine, component).unwrap(),
            engine: engine.clone(),
            resolve,
            wit,
        }
    }

    fn function(resolve: &Resolve) -> &Function {
        let (_, interface) = resolve.interfaces.iter().find(|(_, i)| i.name.as_deref() == Some("i")).unwrap();
        &interface.functions["f"]
    }

    /// Calls through the glue. None if it traps.
    fn linked(&self, prepared: &Prepared, allocators: (Allocator, Allocator), whole: bool) -> Option<After> {
        let mut store = Store::new(&self.engine, ());
        let (caller, callee) = self.glued.instantiate(&mut store);
        let (inside, outside) =
            (memory(&mut store, &callee, "memory"), memory(&mut store, &caller, "memory"));
        for (instance, memory, bytes, mode) in [
            (caller, outside, &prepared.caller, allocators.0),
            (callee, inside, &prepared.callee, allocators.1),
        ] {
            memory.data_mut(&mut store)[..HEAP].copy_from_slice(bytes);
            let set: TypedFunc<u32, ()> = function(&mut store, &instance, "test:t/ctl#mode");
            set.call(&mut store, mode as u32).unwrap();
        }
        let go: TypedFunc<(), ()> = function(&mut store, &caller, "test:t/ctl#go");
        go.call(&mut store, ()).ok()?;
        let mut sum = |part: &Instance| {
            let sum: TypedFunc<(), u64> = function(&mut store, part, "test:t/ctl#sum");
            sum.call(&mut store, ()).unwrap()
        };
        let sums = [sum(&caller), sum(&callee)];
        let memories = whole.then(|| [outside.data(&store).to_vec(), inside.data(&store).to_vec()]);
        Some(After { sums, memories })
    }

    /// Calls through the runtime. None if it traps.
    fn composed(
        &self,
        prepared: &Prepared,
        allocators: (Allocator, Allocator),
        whole: bool,
    ) -> Option<After> {
        let mut store = Store::new(&self.engine, ());
        let instance = Linker::new(&self.engine).instantiate(&mut store, &self.component).unwrap();
        for (part, bytes, mode) in
            [("caller", &prepared.caller, allocators.0), ("callee", &prepared.callee, allocators.1)]
        {
            let poke: component::TypedFunc<(u32, u64), ()> = control(&mut store, &instance, part, "poke");
            for (number, bytes) in (0..).zip(bytes.chunks(8)) {
                poke.call(&mut store, (number * 8, u64::from_le_bytes(bytes.try_into().unwrap()))).unwrap();
            }
            let set: component::TypedFunc<(u32,), ()> = control(&mut store, &instance, part, "mode");
            set.call(&mut store, (mode as u32,)).unwrap();
        }
        let go: component::TypedFunc<(), ()> = control(&mut store, &instance, "caller", "go");
        go.call(&mut store, ()).ok()?;
        let mut read = |part: &str| {
            let size: component::TypedFunc<(), (u32,)> = control(&mut store, &instance, part, "size");
            let size = size.call(&mut store, ()).unwrap().0 << 16;
            let peek: component::TypedFunc<(u32,), (u64,)> = control(&mut store, &instance, part, "peek");
            let words = (0..size).step_by(8).map(|at| peek.call(&mut store, (at,)).unwrap().0);
            words.collect::<Vec<_>>().into_iter().flat_map(u64::to_le_bytes).collect()
        };
        let memories = whole.then(|| [read("caller"), read("callee")]);
        let mut sum = |part: &str| {
            let sum: component::TypedFunc<(), (u64,)> = control(&mut store, &instance, part, "sum");
            sum.call(&mut store, ()).unwrap().0
        };
        Some(After { sums: [sum("caller"), sum("callee")], memories })
    }

    /// Makes memories with random arguments and a random result in them.
    fn prepare(&self, rng: &mut Rng, wrong: usize) -> Prepared {
        let function = Self::function(&self.resolve);
        let mut layout = SizeAlign::default();
        layout.fill(&self.resolve);
        let mut after = Prepared { caller: vec![0xc5; HEAP], callee: vec![0x3a; HEAP] };
        let types: Vec<_> = function.params.iter().map(|p| p.ty).collect();
        let outside = self.resolve.wasm_signature(AbiVariant::GuestImport, function);
        let inside = self.resolve.wasm_signature(AbiVariant::GuestExport, function);
        let mut values = |memory: &mut [u8], types: &[wit_parser::Type], in_memory: bool| -> Vec<u64> {
            let mut values = Values {
                resolve: &self.resolve,
                layout: &layout,
                rng,
                wrong,
                memory,
                top: VALUES,
                end: RESULT,
            };
            if in_memory {
                let at = values.place(types) as u64;
                let moved = values.rng.one_in(wrong * 4);
                return vec![if moved { values.rng.pick(&[at + 1, 65_535, 0xffff_fff0]) } else { at }];
            }
            types.iter().flat_map(|ty| values.flat(ty)).collect()
        };
        let put = |memory: &mut [u8], at: usize, value: u64| {
            memory[at..at + 8].copy_from_slice(&value.to_le_bytes())
        };
        let mut arguments = values(&mut after.caller, &types, outside.indirect_params);
        if outside.retptr {
            let odd = rng.one_in(wrong * 4);
            let wrong = [RESULT as u64 + 1, 65_532, 65_536, 0xffff_fff8];
            arguments.push(if odd { rng.pick(&wrong) } else { RESULT as u64 });
        }
        for (number, value) in arguments.into_iter().enumerate() {
            put(&mut after.caller, FLAT + 8 * number, value);
        }
        if let Some(ty) = function.result {
            let mut values = Values {
                resolve: &self.resolve,
                layout: &layout,
                rng,
                wrong,
                memory: &mut after.callee,
                top: VALUES,
                end: RESULT,
            };
            let value = if inside.retptr { values.place(&[ty]) as u64 } else { values.flat(&ty)[0] };
            let moved = inside.retptr && values.rng.one_in(wrong * 4);
            let value = if moved { values.rng.pick(&[value + 1, 65_535, 0xffff_fff0]) } else { value };
            put(&mut after.callee, FLAT_RESULT, value);
        }
        after
    }

    /// Calls both ways and compares. Returns whether the call came back.
    #[track_caller]
    fn same(&self, prepared: &Prepared, allocators: (Allocator, Allocator), about: &str) -> bool {
        let run =
            |whole| (self.linked(prepared, allocators, whole), self.composed(prepared, allocators, whole));
        let (linked, composed) = run(false);
        if linked == composed {
            return linked.is_some();
        }
        let mut differs = String::new();
        match run(true) {
            (Some(linked), Some(composed)) => {
                for (part, (one, two)) in ["caller", "callee"]
                    .iter()
                    .zip(linked.memories.iter().flatten().zip(composed.memories.iter().flatten()))
                {
                    for at in (0..one.len().max(two.len())).filter(|at| one.get(*at) != two.get(*at)).take(20)
                    {
                        let _ = writeln!(
                            differs,
                            "{part}, byte {at}: {:?} linked, {:?} composed",
                            one.get(at),
                            two.get(at)
                        );
                    }
                }
            }
            (linked, _) => {
                differs = format!("linked, it {}\n", if linked.is_some() { "returns" } else { "traps" });
            }
        }
        panic!("{about}, {allocators:?}:\n{differs}{}", self.wit);
    }
}

fn control<P, R>(
    store: &mut Store<()>,
    instance: &component::Instance,
    part: &str,
    name: &str,
) -> component::TypedFunc<P, R>
where
    P: component::ComponentNamedList + component::Lower,
    R: component::ComponentNamedList + component::Lift,
{
    let part = instance.get_export_index(&mut *store, None, part).unwrap();
    let function = instance.get_export_index(&mut *store, Some(&part), name).unwrap();
    instance.get_typed_func(store, function).unwrap()
}

/// Joins the two as components.
fn join(caller: &[u8], callee: &[u8]) -> Vec<u8> {
    let mut outer = ComponentBuilder::default();
    let callee = outer.component_raw(None, callee);
    let caller = outer.component_raw(None, caller);
    let callee = outer.instantiate(None, callee, Vec::<(&str, _, u32)>::new());
    let interface = outer.alias_export(callee, "test:t/i", ComponentExportKind::Instance);
    let caller = outer.instantiate(None, caller, [("test:t/i", ComponentExportKind::Instance, interface)]);
    for (name, instance) in [("caller", caller), ("callee", callee)] {
        let ctl = outer.alias_export(instance, "test:t/ctl", ComponentExportKind::Instance);
        outer.export(name, ComponentExportKind::Instance, ctl, None);
    }
    outer.finish()
}

pub(super) fn caller_text((params, results): &(Vec<ValType>, Vec<ValType>)) -> String {
    let mut call = String::new();
    for (number, ty) in params.iter().enumerate() {
        let _ = write!(call, "({}.load (i32.const {})) ", name(*ty), FLAT + 8 * number);
    }
    let call = format!("(call $f {call})");
    let go = match results.first() {
        Some(ty) => format!("({}.store (i32.const {FLAT_RESULT}) {call})", name(*ty)),
        None => call.clone(),
    };
    let back = if results.is_empty() { call } else { format!("(drop {call})") };
    format!(
        r#"(module
  (import "test:t/i" "f" (func $f {} {}))
  {COMMON}
  (func $call-back {back})
  (func (export "test:t/ctl#go") {go}))"#,
        types("param", params),
        types("result", results)
    )
}

fn callee_text((params, results): &(Vec<ValType>, Vec<ValType>)) -> String {
    let mut keep = String::new();
    for (number, ty) in params.iter().enumerate() {
        let _ =
            writeln!(keep, "({}.store (i32.const {}) (local.get {number}))", name(*ty), FLAT + 8 * number);
    }
    let answer = results.first().map(|ty| format!("({}.load (i32.const {FLAT_RESULT}))", name(*ty)));
    let noted = results
        .first()
        .map(|ty| format!("({}.store (i32.const {}) (local.get 0))", name(*ty), FLAT_RESULT + 8));
    format!(
        r#"(module
  {COMMON}
  (func $call-back (unreachable))
  (func (export "test:t/ctl#go"))
  (func (export "test:t/i#f") {} {} {keep} {})
  (func (export "cabi_post_test:t/i#f") {} {}))"#,
        types("param", params),
        types("result", results),
        answer.unwrap_or_default(),
        types("param", results),
        noted.unwrap_or_default(),
    )
}

#[test]
fn random_functions_carry_values_and_trap_as_the_runtime_does() {
    let engine = engine();
    let (mut returned, mut trapped) = (0, 0);
    for seed in 0..60 {
        let rng = &mut Rng(seed);
        let interface = Wit::interface(rng);
        let rig = Rig::new(&engine, &interface);
        for value in 0..12 {
            let wrong = if value % 3 == 0 { 8 } else { 1 << 20 };
            let prepared = rig.prepare(rng, wrong);
            let came_back = rig.same(&prepared, (Allocator::Good, Allocator::Good), &format!("seed {seed}"));
            *(if came_back { &mut returned } else { &mut trapped }) += 1;
        }
    }
    assert!(returned > 350 && trapped > 50, "{returned} returned, {trapped} trapped");
}

#[test]
fn allocators_that_misbehave_end_the_call_as_in_the_runtime() {
    let engine = engine();
    for interface in [
        "f: func(a: string, b: list<u64>) -> string;",
        "f: func(a: list<list<u32>>) -> result<list<tuple<u8, u64>>, string>;",
        "record r { a: u64, b: list<u8> } f: func(a: r, b: r, c: r, d: r, e: r, g: r) -> list<r>;",
        "f: func() -> list<string>;",
    ] {
        let rig = Rig::new(&engine, interface);
        let mut came_back = Vec::new();
        for of_caller in Allocator::ALL {
            for of_callee in Allocator::ALL {
                for seed in 0..4 {
                    let prepared = rig.prepare(&mut Rng(seed), 1 << 20);
                    if rig.same(&prepared, (of_caller, of_callee), interface) {
                        came_back.push((of_caller, of_callee));
                    }
                }
            }
        }
        assert!(came_back.contains(&(Allocator::Grows, Allocator::Good)), "{interface}");
        assert!(came_back.iter().all(|(caller, _)| *caller != Allocator::CallsBack), "{interface}");
    }
}

#[test]
fn a_result_at_the_end_of_the_memory_is_judged_as_the_runtime_does() {
    let engine = engine();
    for interface in [
        "f: func() -> option<u32>;",
        "f: func() -> result<list<u8>, u64>;",
        "f: func() -> tuple<u8, option<u64>>;",
        "f: func() -> string;",
    ] {
        let rig = Rig::new(&engine, interface);
        for seed in 0..8 {
            let mut prepared = rig.prepare(&mut Rng(seed), 1 << 20);
            for address in (65_480..65_560_u64).chain([0xffff_fff0, 0xffff_fff8, 0xffff_ffff]) {
                prepared.caller[FLAT..FLAT + 8].copy_from_slice(&address.to_le_bytes());
                rig.same(&prepared, (Allocator::Good, Allocator::Good), &format!("{interface} at {address}"));
            }
            // The callee's own, which it answers at a wrong place.
            let mut prepared = rig.prepare(&mut Rng(seed), 1 << 20);
            for address in (65_500..65_545_u64).chain([0xffff_fff8, 0xffff_ffff]) {
                prepared.callee[FLAT_RESULT..FLAT_RESULT + 8].copy_from_slice(&address.to_le_bytes());
                rig.same(
                    &prepared,
                    (Allocator::Good, Allocator::Good),
                    &format!("{interface}, answered at {address}"),
                );
            }
        }
    }
}

#[test]
fn parameters_at_the_end_of_the_memory_are_judged_as_the_runtime_does() {
    let engine = engine();
    let rig = Rig::new(
        &engine,
        "record r { a: u64, b: u64, c: u64, d: u64, e: u64 } f: func(a: r, b: r, c: r, d: r, e: option<u64>);",
    );
    for address in 65_536 - 200..65_545_u64 {
        let mut prepared = rig.prepare(&mut Rng(1), 1 << 20);
        prepared.caller[FLAT..FLAT + 8].copy_from_slice(&address.to_le_bytes());
        rig.same(&prepared, (Allocator::Good, Allocator::Good), &format!("at {address}"));
    }
}
