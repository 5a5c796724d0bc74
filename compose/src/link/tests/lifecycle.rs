//! The wrappers of `wasi:cli/exit` and of exports: what is called in which order, and what comes
//! back.

use super::super::items::Space;
use super::super::lifecycle::{End, write_exit, write_export};
use super::super::module::{GlueImport, GlueModule};
use super::*;
use crate::types::TypeInfo;
use std::sync::{Arc, Mutex};
use wasmtime::{Func, Val, ValType};
use wit_parser::{Resolve, SourceMap};

const WIT: &str = "
package test:t;
interface i {
  resource request;
  run: func() -> result;
  count: func(words: list<string>) -> result<string>;
  coded: func() -> result<u8, string>;
  number: func() -> u32;
  handle: func(request: request, out: u64);
  exit: func(status: result);
  exit-with-code: func(code: u8);
}
world w { import i; }
";

/// The state of the parts around: a memory, and the note that the guest's allocator is running.
const HOLDER: &str =
    r#"(module (memory (export "memory") 1) (global (export "busy") (mut i32) (i32.const 0)))"#;

struct Rig {
    store: Store<()>,
    wrapped: Func,
    memory: Memory,
    busy: wasmtime::Global,
    log: Arc<Mutex<Vec<String>>>,
}

impl Rig {
    /// Wraps a function, between a commit and an original that answer what they are told.
    fn new(name: &str, fails: bool, answer: Option<u32>) -> Self {
        Self::with(name, fails, answer, false)
    }

    /// As [`Rig::new`], with a standard error to tell on.
    fn telling(name: &str, fails: bool, answer: Option<u32>) -> Self {
        Self::with(name, fails, answer, true)
    }

    fn with(name: &str, fails: bool, answer: Option<u32>, tells: bool) -> Self {
        let mut resolve = Resolve::default();
        let mut map = SourceMap::default();
        map.push(std::path::Path::new("test.wit"), WIT);
        resolve.push_group(map.parse().map_err(|(_, e)| e.to_string()).unwrap()).unwrap();
        let (_, interface) = resolve.interfaces.iter().next().unwrap();
        let function = (TypeInfo { resolve: &resolve }, &interface.functions[name]);
        let mut glue = GlueModule::default();
        let item = |part, space| GlueImport::Item(part, (space, 0));
        let (commit, original) = (item(Part::Adapter, Space::CoreFunc), item(Part::Guest, Space::CoreFunc));
        let stderr = GlueImport::HostFunction("wasi:cli/stderr".to_owned(), "get-stderr");
        let explain = item(Part::Provider, Space::CoreFunc);
        let end = End { commit, tell: tells.then_some((stderr, explain)) };
        if name.starts_with("exit") {
            write_exit(&mut glue, "f", function, end, original);
        } else {
            let memory = Some(item(Part::Guest, Space::CoreMemory));
            write_export(&mut glue, "f", function, end, original, memory);
        }
        let (bytes, imports) = glue.finish();

        let engine = engine();
        let mut store = Store::new(&engine, ());
        let module = Module::new(&engine, bytes).unwrap();
        let holder = Module::new(&engine, wat::parse_str(HOLDER).unwrap()).unwrap();
        let holder = Instance::new(&mut store, &holder, &[]).unwrap();
        let memory = memory(&mut store, &holder, "memory");
        let busy = holder.get_global(&mut store, "busy").unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let types: Vec<_> = module.imports().map(|import| import.ty()).collect();
        let wrapped = instantiate(&mut store, &module, |store, _, number| {
            let number: usize = number.parse().unwrap();
            let log = log.clone();
            match &imports[number].0 {
                GlueImport::Item(Part::Adapter, _) => Func::wrap(store, move || {
                    log.lock().unwrap().push("commit".to_owned());
                    i32::from(fails)
                })
                .into(),
                GlueImport::HostFunction(..) => Func::wrap(store, move || {
                    log.lock().unwrap().push("stderr".to_owned());
                    7_i32
                })
                .into(),
                GlueImport::Item(Part::Provider, _) => Func::wrap(store, move |stream: i32| {
                    log.lock().unwrap().push(format!("explain {stream}"));
                })
                .into(),
                GlueImport::Item(_, (Space::CoreMemory, _)) => memory.into(),
                GlueImport::Handles("busy") => busy.into(),
                _ => {
                    let ty = types[number].unwrap_func().clone();
                    Func::new(store, ty, move |_, params, results| {
                        let params: Vec<_> = params
                            .iter()
                            .map(|value| match value {
                                Val::I32(value) => value.to_string(),
                                other => format!("{other:?}"),
                            })
                            .collect();
                        log.lock().unwrap().push(format!("original {}", params.join(" ")));
                        if let (Some(place), Some(answer)) = (results.first_mut(), answer) {
                            *place = Val::I32(answer as i32);
                        }
                        Ok(())
                    })
                    .into()
                }
            }
        });
        let wrapped = wrapped.get_func(&mut store, "f").unwrap();
        Self { store, wrapped, memory, busy, log }
    }

    /// Calls with small numbers. None if it traps.
    fn call(&mut self) -> Option<Vec<i32>> {
        let ty = self.wrapped.ty(&self.store);
        let params: Vec<_> = (0..)
            .zip(ty.params())
            .map(|(number, ty)| if matches!(ty, ValType::I64) { Val::I64(7) } else { Val::I32(number) })
            .collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        self.wrapped.call(&mut self.store, &params, &mut results).ok()?;
        Some(results.iter().map(Val::unwrap_i32).collect())
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().join(", ")
    }
}

#[test]
fn an_export_commits_after_it_has_returned() {
    for (name, answer, expected) in [
        ("run", Some(0), "original , commit"),
        ("run", Some(1), "original , commit"),
        ("number", Some(42), "original , commit"),
        ("handle", None, "original 0 I64(7), commit"),
        ("count", Some(64), "original 0 1, commit"),
    ] {
        let mut rig = Rig::new(name, false, answer);
        assert_eq!(rig.call(), Some(answer.into_iter().map(|a| a as i32).collect()), "{name}");
        assert_eq!(rig.log(), expected, "{name}");
        assert!(rig.memory.data(&rig.store).iter().all(|byte| *byte == 0), "{name} wrote");
    }
}

#[test]
fn a_commit_that_fails_is_an_error_where_there_is_room_for_one_and_a_trap_elsewhere() {
    assert_eq!(Rig::new("run", true, Some(0)).call(), Some(vec![1]));
    for (name, answer) in [("number", Some(42)), ("handle", None), ("coded", Some(64))] {
        let mut rig = Rig::new(name, true, answer);
        assert_eq!(rig.call(), None, "{name}");
        assert!(rig.log().ends_with("commit"), "{name}");
    }
    // A result in memory: its first byte says that it is an error.
    let mut rig = Rig::new("count", true, Some(64));
    assert_eq!(rig.call(), Some(vec![64]));
    let found: Vec<_> = (0..).zip(rig.memory.data(&rig.store)).filter(|(_, byte)| **byte != 0).collect();
    assert_eq!(found, [(64, &1)]);
}

#[test]
fn exit_commits_first_and_is_no_success_if_that_fails() {
    for (name, fails, expected) in [
        ("exit", false, "commit, original 0"),
        ("exit", true, "commit, original 1"),
        ("exit-with-code", false, "commit, original 0"),
        ("exit-with-code", true, "commit, original 1"),
    ] {
        let mut rig = Rig::new(name, fails, None);
        rig.call().unwrap();
        assert_eq!(rig.log(), expected, "{name}, commit fails: {fails}");
    }
}

#[test]
fn exit_from_the_guests_allocator_traps_and_commits_nothing() {
    let mut rig = Rig::new("exit", false, None);
    rig.busy.set(&mut rig.store, Val::I32(1)).unwrap();
    assert_eq!(rig.call(), None);
    assert_eq!(rig.log(), "");
}

#[test]
fn a_failed_commit_is_reported_on_standard_error_first() {
    for (name, answer, expected) in [
        ("run", Some(0), "original , commit, stderr, explain 7"),
        ("count", Some(64), "original 0 1, commit, stderr, explain 7"),
        ("exit", None, "commit, stderr, explain 7, original 1"),
        ("exit-with-code", None, "commit, stderr, explain 7, original 1"),
    ] {
        let mut rig = Rig::telling(name, true, answer);
        rig.call().unwrap();
        assert_eq!(rig.log(), expected, "{name}");
    }
    let mut rig = Rig::telling("number", true, Some(42));
    assert_eq!(rig.call(), None, "there is no room for an error");
    assert_eq!(rig.log(), "original , commit, stderr, explain 7");
    for (name, answer, expected) in
        [("run", Some(0), "original , commit"), ("exit", None, "commit, original 0")]
    {
        let mut rig = Rig::telling(name, false, answer);
        rig.call().unwrap();
        assert_eq!(rig.log(), expected, "{name}");
    }
}
