//! Functions of the host that answer none for a handle of the file system's: what is checked,
//! dropped and passed on.

use super::super::function::Resource;
use super::super::handles::{FIRST, TABLE};
use super::super::items::Space;
use super::super::module::{GlueImport, GlueModule};
use super::super::refusal::Refusal;
use super::*;
use crate::types::{Special, TypeInfo};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use wasmtime::{Func, Val};
use wit_parser::{Resolve, SourceMap, TypeId};

const IO: &str = "
package wasi:io@0.2.12;
interface error { resource error; }
interface poll { resource pollable; }
";

const WIT: &str = "
package test:t;
interface i {
  use wasi:io/error@0.2.12.{error};
  use wasi:io/poll@0.2.12.{pollable};
  resource channel;
  ask: func(about: borrow<error>, given: pollable, beside: channel, through: borrow<channel>, number: u64) -> option<string>;
  inside: func(about: borrow<error>, given: list<channel>) -> option<string>;
  inside-io: func(about: option<borrow<error>>) -> option<string>;
}
world w { import i; }
";

const ERROR: u32 = 0;
const POLLABLE: u32 = 1;

struct Rig {
    store: Store<()>,
    glue: Func,
    new: TypedFunc<(u32, u32), u32>,
    memory: Memory,
    busy: wasmtime::Global,
    log: Arc<Mutex<Vec<String>>>,
}

fn write(name: &str) -> Result<(Vec<u8>, Vec<GlueImport>), String> {
    let mut resolve = Resolve::default();
    for text in [IO, WIT] {
        let mut map = SourceMap::default();
        map.push(std::path::Path::new("test.wit"), text);
        resolve.push_group(map.parse().map_err(|(_, e)| e.to_string()).unwrap()).unwrap();
    }
    let info = TypeInfo { resolve: &resolve };
    let resources: HashMap<TypeId, Resource> = resolve
        .types
        .iter()
        .filter_map(|(id, _)| match info.special(id)? {
            Special::Io(io) if io.name() == "error" => Some((id, Resource { kind: ERROR, shared: true })),
            Special::Io(_) => Some((id, Resource { kind: POLLABLE, shared: true })),
            _ => None,
        })
        .collect();
    let mut interfaces = resolve.interfaces.iter().map(|(_, interface)| interface);
    let function = interfaces.find_map(|interface| interface.functions.get(name)).unwrap();
    let refusal = Refusal {
        info,
        function,
        memory: Some(GlueImport::Item(Part::Guest, (Space::CoreMemory, 0))),
        original: GlueImport::Original((Space::CoreFunc, 0)),
        resources: &resources,
    };
    let mut module = GlueModule::default();
    refusal.write(&mut module, "f").map_err(|why| why.to_string())?;
    let (bytes, imports) = module.finish();
    Ok((bytes, imports.into_iter().map(|(import, _)| import).collect()))
}

impl Rig {
    fn new(name: &str) -> Self {
        let (bytes, imports) = write(name).unwrap();
        let engine = engine();
        let mut store = Store::new(&engine, ());
        let log = Arc::new(Mutex::new(Vec::new()));
        let table = Module::new(&engine, TABLE).unwrap();
        let of_adapter = log.clone();
        let table = instantiate(&mut store, &table, |store, _, kind| {
            let (log, kind) = (of_adapter.clone(), kind.to_owned());
            Func::wrap(store, move |rep: u32| log.lock().unwrap().push(format!("destroyed {kind} {rep}")))
                .into()
        });
        let holder =
            Module::new(&engine, wat::parse_str(r#"(module (memory (export "memory") 1))"#).unwrap())
                .unwrap();
        let holder = Instance::new(&mut store, &holder, &[]).unwrap();
        let memory = memory(&mut store, &holder, "memory");
        let module = Module::new(&engine, bytes).unwrap();
        let types: Vec<_> = module.imports().map(|import| import.ty()).collect();
        let glue = instantiate(&mut store, &module, |store, _, number| {
            let number: usize = number.parse().unwrap();
            let what = match &imports[number] {
                GlueImport::Item(..) => return memory.into(),
                GlueImport::Handles(name) => return table.get_export(store, name).unwrap(),
                GlueImport::HostDrop(interface, name) => format!("dropped {interface}.{name}"),
                GlueImport::Original(_) => "asked".to_owned(),
                other => panic!("{other:?}"),
            };
            let log = log.clone();
            let ty = types[number].unwrap_func().clone();
            let ask = move |_: wasmtime::Caller<'_, ()>, params: &[Val], results: &mut [Val]| {
                log.lock().unwrap().push(format!("{what} {}", params[0].unwrap_i32()));
                results.iter_mut().for_each(|result| *result = Val::I32(1));
                Ok(())
            };
            Func::new(store, ty, ask).into()
        });
        let new = function(&mut store, &table, "new");
        let busy = table.get_global(&mut store, "busy").unwrap();
        let glue = glue.get_func(&mut store, "f").unwrap();
        Self { store, glue, new, memory, busy, log }
    }

    fn handle(&mut self, rep: u32, kind: u32) -> i32 {
        self.new.call(&mut self.store, (rep, kind)).unwrap() as i32
    }

    /// Asks about an error, with a pollable; the rest is the host's. None if it traps.
    fn ask(&mut self, error: i32, pollable: i32) -> Option<()> {
        let params = [error, pollable, 3, 4].map(Val::I32);
        let params = [params.as_slice(), &[Val::I64(5), Val::I32(64)]].concat();
        self.memory.data_mut(&mut self.store)[64] = 0x55;
        self.glue.call(&mut self.store, &params, &mut []).ok()
    }

    fn log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

#[test]
fn handles_of_the_host_go_to_the_host() {
    let mut rig = Rig::new("ask");
    assert_eq!(rig.ask(1, 2), Some(()));
    assert_eq!(rig.log(), ["asked 1"]);
    assert_eq!(rig.memory.data(&rig.store)[64], 0x55);
}

#[test]
fn a_handle_of_the_file_system_gives_none_and_owned_handles_are_dropped() {
    let channel = "dropped test:t/i.channel 3";
    for (error_is_ours, pollable_is_ours) in [(true, false), (false, true), (true, true)] {
        let mut rig = Rig::new("ask");
        let error = if error_is_ours { rig.handle(10, ERROR) } else { 1 };
        let pollable = if pollable_is_ours { rig.handle(20, POLLABLE) } else { 2 };
        assert_eq!(rig.ask(error, pollable), Some(()));
        assert_eq!(rig.memory.data(&rig.store)[64], 0, "it says none");
        let of_pollable =
            if pollable_is_ours { "destroyed 1 20" } else { "dropped wasi:io/poll@0.2.12.pollable 2" };
        assert_eq!(rig.log(), [of_pollable, channel]);
        // Handles that were only lent are still there.
        let again = rig.ask(error, 2).is_some();
        assert!(again && (!pollable_is_ours || rig.ask(error, pollable).is_none()));
    }
}

#[test]
fn invalid_handles_trap_and_drop_nothing() {
    for kind in [ERROR, POLLABLE] {
        let mut rig = Rig::new("ask");
        let good = [rig.handle(10, ERROR), rig.handle(20, POLLABLE)];
        for wrong in [FIRST + 77, -1, good[1 - kind as usize]] {
            let (error, pollable) = if kind == ERROR { (wrong, 2) } else { (1, wrong) };
            assert_eq!(rig.ask(error, pollable), None, "{kind} {wrong:x}");
            assert!(rig.log().is_empty(), "{kind} {wrong:x}");
        }
    }
}

#[test]
fn a_call_from_the_guests_allocator_traps() {
    let mut rig = Rig::new("ask");
    rig.busy.set(&mut rig.store, Val::I32(1)).unwrap();
    assert_eq!(rig.ask(1, 2), None);
    assert!(rig.log().is_empty());
}

#[test]
fn handles_inside_of_values_are_not_linked() {
    assert_eq!(write("inside").unwrap_err(), "inside gives a handle away inside a value");
    assert_eq!(write("inside-io").unwrap_err(), "inside-io takes a handle of wasi:io inside a value");
}
