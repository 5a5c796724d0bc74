//! Bytes that the glue moves itself: from pieces to a list, from a list to pieces, and never past a
//! check.

use super::super::direct::{Direct, INTERFACE, Pair, name_of};
use super::super::function::{FunctionGlue, SideImports, signature};
use super::super::items::Space;
use super::super::module::{GlueImport, GlueModule};
use super::function::{Allocator, COMMON, FLAT, FLAT_RESULT, caller_text};
use super::*;
use crate::types::TypeInfo;
use std::collections::HashMap;
use wit_parser::abi::AbiVariant;
use wit_parser::{Function, Resolve, SizeAlign, SourceMap};

/// Where the caller wants a result in memory.
const RESULT: u32 = 5120;

/// Answers three pieces, `abc`, nothing and `de`, or none if it is asked for 0.
const LENDER: &str = r#"
  (func $f (param $n i32) (result i32)
    (i32.store (i32.const 2000) (i32.const 0x636261))
    (i32.store (i32.const 2500) (i32.const 0x6564))
    (i64.store (i32.const 1024) (i64.const 0x3000007d0)) ;; 2000, 3
    (i64.store (i32.const 1032) (i64.const 0xbb8))         ;; 3000, 0
    (i64.store (i32.const 1040) (i64.const 0x2000009c4))   ;; 2500, 2
    (i32.store (i32.const 1100) (i32.const 0))
    (i32.store (i32.const 1104) (i32.const 1024))
    (i32.store (i32.const 1108) (local.get $n))
    (i32.store8 (i32.const 1112) (i32.const 1))
    (i32.const 1100))
  (func $place (unreachable))
"#;

/// Gives a place of two pieces, of which the first takes 4 bytes, and answers the length that it
/// was told.
const TAKER: &str = r#"
  (func $place (param $length i32) (param $at i64) (result i32)
    (i64.store (i32.const 1024) (i64.const 0x4000007d0)) ;; 2000, 4
    (i32.store (i32.const 1032) (i32.const 2500))
    (i32.store (i32.const 1036) (i32.sub (local.get $length) (i32.const 4)))
    (i32.store (i32.const 1100) (i32.const 1024))
    (i32.store (i32.const 1104) (i32.const 2))
    (i32.const 1100))
  (func $f (param $length i32) (param $at i64) (result i32)
    (i32.store (i32.const 1200) (i32.const 0))
    (i64.store (i32.const 1208) (i64.add (i64.extend_i32_u (local.get $length)) (local.get $at)))
    (i32.const 1200))
"#;

struct Rig {
    engine: Engine,
    glued: Glued,
}

impl Rig {
    fn new(function: &str, callee: &str, direct: Direct) -> Self {
        let engine = engine();
        let mut map = SourceMap::default();
        map.push(
            std::path::Path::new("test.wit"),
            format!("package test:t;\ninterface i {{\n{function}}}\n"),
        );
        let mut resolve = Resolve::default();
        resolve.push_group(map.parse().map_err(|(_, error)| error).unwrap()).unwrap();
        let (_, interface) = resolve.interfaces.iter().next().unwrap();
        let info = TypeInfo { resolve: &resolve };
        let caller = caller_text(&signature(info, AbiVariant::GuestImport, &interface.functions["f"]));
        let callee = format!(
            r#"(module {COMMON} (func $call-back (unreachable)) {callee}
              (func $post (param i32))
              (export "f" (func $f)) (export "place" (func $place)) (export "post" (func $post)))"#
        );
        let item = |part, space, index| GlueImport::Item(part, (space, index));
        let side_imports = |part| SideImports {
            memory: Some(item(part, Space::CoreMemory, 0)),
            realloc: Some(item(part, Space::CoreFunc, 0)),
        };
        let mut layout = SizeAlign::default();
        layout.fill(&resolve);
        let resources = HashMap::new();
        let function_glue = FunctionGlue {
            info,
            layout: &layout,
            function: &interface.functions["f"],
            caller: side_imports(Part::Guest),
            callee: side_imports(Part::Adapter),
            target: item(Part::Adapter, Space::CoreFunc, 1),
            post_return: Some(post()),
            original: None,
            resources: &resources,
            host_handles: false,
            check_params: Some(GlueImport::Text(Part::Adapter, (Space::CoreMemory, 0))),
            check_results: None,
            guard_caller: true,
            direct,
        };
        let mut glue = GlueModule::default();
        function_glue.write(&mut glue, "f").unwrap();
        let (glue, imports) = glue.finish();
        let core = |text: &str| wat::parse_str(text).unwrap();
        let names = ["cabi_realloc", "f", "post", "place"];
        let glued = Glued::new(&engine, [&core(&caller), &core(&callee), &glue], imports, &names).unwrap();
        Self { engine, glued }
    }

    /// Calls with these flat arguments and returns both memories, the caller's first. None if it
    /// traps.
    fn call(&self, arguments: &[u64], allocator: Allocator) -> Option<[Vec<u8>; 2]> {
        let mut store = Store::new(&self.engine, ());
        let (caller, callee) = self.glued.instantiate(&mut store);
        let (inside, outside) =
            (memory(&mut store, &callee, "memory"), memory(&mut store, &caller, "memory"));
        let data = outside.data_mut(&mut store);
        data[3000..3010].copy_from_slice(b"0123456789");
        data[65_532..].copy_from_slice(b"tail");
        for (number, argument) in arguments.iter().enumerate() {
            data[FLAT + 8 * number..][..8].copy_from_slice(&argument.to_le_bytes());
        }
        let set: TypedFunc<u32, ()> = function(&mut store, &caller, "test:t/ctl#mode");
        set.call(&mut store, allocator as u32).unwrap();
        let go: TypedFunc<(), ()> = function(&mut store, &caller, "test:t/ctl#go");
        go.call(&mut store, ()).ok()?;
        Some([outside.data(&store).to_vec(), inside.data(&store).to_vec()])
    }
}

fn post() -> GlueImport {
    GlueImport::Item(Part::Adapter, (Space::CoreFunc, 2))
}

fn lender() -> Rig {
    Rig::new("f: func(n: u32) -> result<tuple<list<u8>, bool>, u8>;", LENDER, Direct::Lent)
}

fn taker() -> Rig {
    let place = GlueImport::Item(Part::Adapter, (Space::CoreFunc, 3));
    let direct = Direct::Placed { place, post_return: Some(post()) };
    Rig::new("f: func(bytes: list<u8>, at: u64) -> result<u64, u8>;", TAKER, direct)
}

fn word(memory: &[u8], at: usize) -> usize {
    u32::from_le_bytes(memory[at..at + 4].try_into().unwrap()) as usize
}

#[test]
fn names_are_made_by_one_rule() {
    assert_eq!(name_of("[method]input-stream.blocking-read"), "input-stream-blocking-read");
    assert_eq!(name_of("poll"), "poll");
}

#[test]
fn pieces_become_one_list_where_the_callers_allocator_says() {
    let rig = lender();
    for (allocator, comes_back) in [
        (Allocator::Good, true),
        // Bytes lie anywhere.
        (Allocator::Unaligned, true),
        (Allocator::Null, true),
        (Allocator::Grows, true),
        (Allocator::OutOfBounds, false),
        (Allocator::JustOutOfBounds, false),
        (Allocator::CallsBack, false),
    ] {
        let after = rig.call(&[3, u64::from(RESULT)], allocator);
        assert_eq!(after.is_some(), comes_back, "{allocator:?}");
        let Some([memory, _]) = after else { continue };
        let result = RESULT as usize;
        let (address, length) = (word(&memory, result + 4), word(&memory, result + 8));
        assert_eq!(memory[result], 0);
        assert_eq!(&memory[address..address + length], b"abcde", "{allocator:?}");
        if matches!(allocator, Allocator::Good | Allocator::Unaligned) {
            assert_eq!(memory[address + length], 0xc5, "a byte behind the list");
        }
        assert_eq!(memory[result + 12], 1, "what comes behind the list");
    }
}

#[test]
fn the_address_of_a_list_without_pieces_is_checked_too() {
    let rig = lender();
    for (allocator, comes_back) in [
        (Allocator::Good, true),
        // Right behind the end there is room for nothing.
        (Allocator::JustOutOfBounds, true),
        (Allocator::OutOfBounds, false),
        (Allocator::CallsBack, false),
    ] {
        let after = rig.call(&[0, u64::from(RESULT)], allocator);
        assert_eq!(after.is_some(), comes_back, "{allocator:?}");
        let Some([memory, _]) = after else { continue };
        assert_eq!(word(&memory, RESULT as usize + 8), 0);
    }
}

#[test]
fn a_list_fills_pieces_in_their_order_and_nothing_else() {
    let [memory, adapter] = taker().call(&[3000, 10, 7, u64::from(RESULT)], Allocator::Good).unwrap();
    assert_eq!(&adapter[2000..2005], b"0123\xc5");
    assert_eq!(&adapter[2500..2507], b"456789\xc5");
    assert_eq!(word(&memory, RESULT as usize + 8), 17);
    assert_eq!(memory[FLAT_RESULT], 0xc5);
}

#[test]
fn bytes_from_outside_the_memory_trap_before_there_is_a_place_for_them() {
    let rig = taker();
    let call =
        |address: u64, length: u64| rig.call(&[address, length, 0, u64::from(RESULT)], Allocator::Good);
    let [_, adapter] = call(65_532, 4).unwrap();
    assert_eq!(&adapter[2000..2004], b"tail");
    for (address, length) in [(65_532, 5), (65_536, 4), (0xffff_fffc, 4), (0xffff_ffff, 0xffff_ffff)] {
        assert!(call(address, length).is_none(), "{length} bytes at {address}");
    }
}

#[test]
fn every_direct_function_of_the_adapter_stands_for_one_that_it_has() {
    let (_, metadata) = wit_component::metadata::decode(crate::ADAPTER).unwrap();
    let resolve = &metadata.resolve;
    let info = TypeInfo { resolve };
    let functions = |base: &str| {
        let of = |id: &wit_parser::InterfaceId| {
            resolve.id_of(*id).is_some_and(|name| name.split('@').next() == Some(base))
        };
        let id = resolve.interfaces.iter().map(|(id, _)| id).find(of).unwrap();
        &resolve.interfaces[id].functions
    };
    let direct = functions(INTERFACE);
    let ordinary: HashMap<String, &Function> = ["wasi:io/streams", "wasi:filesystem/types"]
        .iter()
        .flat_map(|base| functions(base).values())
        .map(|function| (name_of(&function.name), function))
        .collect();
    let mut halves = [0, 0];
    for (name, function) in direct.iter().filter(|(name, _)| !name.starts_with("place-")) {
        let place = direct.get(&format!("place-{name}"));
        let pair = Pair { ordinary: ordinary[name.as_str()], direct: function, place };
        assert!(pair.fits(info), "{name}");
        halves[usize::from(place.is_some())] += 1;

        // A function of another type is not taken for it.
        let without = if place.is_some() { None } else { direct.get("place-descriptor-write") };
        assert!(!Pair { place: without, ..pair }.fits(info), "{name}");
        assert!(!Pair { direct: pair.ordinary, ..pair }.fits(info), "{name}");
    }
    assert_eq!(halves, [3, 3]);
}
