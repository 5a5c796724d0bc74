//! Runs generated components between two mocks: a host that records what reaches it and answers
//! with what it was given, and an adapter whose wrapped handles are the host's plus 1000.
//!
//! Values are written as text: `@KIND#REP` is a handle, such as `@v-pollable#1007`.

use super::job::{HostIo, Io, Job, Wrap};
use super::names::{BRIDGE_IMPORT, COMMIT, virtual_import};
use super::{generate, plan_bridge, plan_envelope};
use crate::error::ComposeError;
use crate::types::IoResource;
use std::collections::BTreeSet;
use wasmtime::component::{
    Component, Instance, Linker, LinkerInstance, ResourceAny, ResourceDynamic, ResourceType, Val,
};
use wasmtime::{AsContextMut, Engine, Store, StoreContextMut, StoreLimits, StoreLimitsBuilder};
use wit_parser::{Resolve, UnresolvedPackageGroup, WorldKey};

const WASI_IO: &str = "
package wasi:io@0.2.12;
interface error { resource error; }
interface poll { resource pollable; }
interface streams {
  use error.{error};
  use poll.{pollable};
  resource input-stream;
  resource output-stream;
  variant stream-error { last-operation-failed(error), closed }
}
";

const PROBE: &str = "
package test:probe;
interface probe {
  use wasi:io/error@0.2.12.{error};
  use wasi:io/streams@0.2.12.{input-stream, output-stream, stream-error};
  use wasi:io/poll@0.2.12.{pollable};
  resource channel;
  record pair { label: string, reader: input-stream, writer: option<output-stream> }
  variant outcome { nothing, one(pair), many(list<pair>), wide(u64), poll(pollable), error(stream-error) }
  echo: func(value: outcome) -> outcome;
  nested: func(value: list<tuple<u8, option<list<result<pollable, stream-error>>>>>)
    -> list<tuple<u8, option<list<result<pollable, stream-error>>>>>;
  plain: func(one: pollable) -> pollable;
  long: func(a: outcome, b: outcome, c: outcome, d: outcome) -> tuple<outcome, outcome, outcome, outcome>;
  watch: func(what: list<borrow<pollable>>, also: option<borrow<input-stream>>, through: borrow<channel>) -> u32;
  ask: func(about: borrow<error>, given: pollable, beside: channel) -> option<string>;
}
world rig { import probe; }
";

const RUN: &str = "
package wasi:cli@0.2.12;
interface exit { exit: func(status: result); }
interface run { run: func() -> result; count: func(words: list<string>) -> result<string>; other: func() -> u32; }
world rig { import exit; export run; }
";

/// Kinds of resources, numbered as the runtime's dynamic types.
const KINDS: [&str; 9] = [
    "h-error",
    "h-pollable",
    "h-input-stream",
    "h-output-stream",
    "v-error",
    "v-pollable",
    "v-input-stream",
    "v-output-stream",
    "channel",
];

fn kind(name: &str) -> u32 {
    KINDS.iter().position(|known| *known == name).unwrap() as u32
}

#[derive(Default)]
struct Mock {
    log: Vec<String>,
    lent: BTreeSet<(u32, u32)>,
    commit_fails: bool,
    limits: StoreLimits,
}

/// Replaces handles by text, and takes the owned ones away.
fn to_text(cx: &mut impl AsContextMut, value: &Val) -> Val {
    let mut boxed = |value: &Val| Box::new(to_text(cx, value));
    match value {
        Val::Resource(any) => {
            let handle = any.try_into_resource_dynamic(cx).unwrap();
            Val::String(format!("@{}#{}", KINDS[handle.ty() as usize], handle.rep()))
        }
        Val::List(items) => Val::List(items.iter().map(|v| *boxed(v)).collect()),
        Val::Tuple(items) => Val::Tuple(items.iter().map(|v| *boxed(v)).collect()),
        Val::Record(fields) => Val::Record(fields.iter().map(|(n, v)| (n.clone(), *boxed(v))).collect()),
        Val::Variant(case, payload) => Val::Variant(case.clone(), payload.as_ref().map(|v| boxed(v))),
        Val::Option(payload) => Val::Option(payload.as_ref().map(|v| boxed(v))),
        Val::Result(Ok(payload)) => Val::Result(Ok(payload.as_ref().map(|v| boxed(v)))),
        Val::Result(Err(payload)) => Val::Result(Err(payload.as_ref().map(|v| boxed(v)))),
        other => other.clone(),
    }
}

/// Replaces text by new owned handles.
fn to_handles(cx: &mut impl AsContextMut, value: &Val) -> Val {
    let mut boxed = |value: &Val| Box::new(to_handles(cx, value));
    match value {
        Val::String(text) if text.starts_with('@') => {
            let (name, rep) = text[1..].split_once('#').unwrap();
            Val::Resource(own(cx, kind(name), rep.parse().unwrap()))
        }
        Val::List(items) => Val::List(items.iter().map(|v| *boxed(v)).collect()),
        Val::Tuple(items) => Val::Tuple(items.iter().map(|v| *boxed(v)).collect()),
        Val::Record(fields) => Val::Record(fields.iter().map(|(n, v)| (n.clone(), *boxed(v))).collect()),
        Val::Variant(case, payload) => Val::Variant(case.clone(), payload.as_ref().map(|v| boxed(v))),
        Val::Option(payload) => Val::Option(payload.as_ref().map(|v| boxed(v))),
        Val::Result(Ok(payload)) => Val::Result(Ok(payload.as_ref().map(|v| boxed(v)))),
        Val::Result(Err(payload)) => Val::Result(Err(payload.as_ref().map(|v| boxed(v)))),
        other => other.clone(),
    }
}

fn own(cx: &mut impl AsContextMut, kind: u32, rep: u32) -> ResourceAny {
    ResourceDynamic::new_own(rep, kind).try_into_resource_any(cx).unwrap()
}

fn rep(cx: &mut StoreContextMut<'_, Mock>, value: &Val) -> u32 {
    let Val::Resource(any) = value else { panic!("{value:?} is no handle") };
    any.try_into_resource_dynamic(cx).unwrap().rep()
}

fn resource(instance: &mut LinkerInstance<'_, Mock>, name: &str, kind: u32) {
    let drop = move |mut cx: StoreContextMut<'_, Mock>, rep: u32| {
        cx.data_mut().log.push(format!("drop @{}#{rep}", KINDS[kind as usize]));
        Ok(())
    };
    instance.resource(name, ResourceType::host_dynamic(kind), drop).unwrap();
}

/// Defines the adapter's half: wrappers are numbered 1000 above what they hold.
fn adapter(linker: &mut Linker<Mock>) {
    for io in IoResource::ALL {
        let number = io as u32;
        let mut host = linker.instance(&format!("wasi:io/{}@0.2.12", io.interface())).unwrap();
        resource(&mut host, io.name(), number);
        let mut own_io = linker.instance(&virtual_import(io.interface())).unwrap();
        resource(&mut own_io, io.name(), number + 4);
        let mut bridge = linker.instance(BRIDGE_IMPORT).unwrap();
        bridge
            .func_new(&format!("wrap-{}", io.name()), move |mut cx, _, params, results| {
                let rep = rep(&mut cx, &params[0]);
                results[0] = Val::Resource(own(&mut cx, number + 4, rep + 1000));
                Ok(())
            })
            .unwrap();
        for lend in [false, true] {
            let name = if lend { "lend" } else { "unwrap" };
            bridge
                .func_new(&format!("{name}-{}", io.name()), move |mut cx, _, params, results| {
                    let rep = rep(&mut cx, &params[0]);
                    let lent = lend && !cx.data_mut().lent.insert((number, rep));
                    let held = if rep < 1000 || lent { None } else { Some(rep - 1000) };
                    let held = held.map(|rep| Box::new(Val::Resource(own(&mut cx, number, rep))));
                    if lend && held.is_none() {
                        cx.data_mut().lent.remove(&(number, rep));
                    }
                    results[0] = Val::Option(held);
                    Ok(())
                })
                .unwrap();
        }
        bridge
            .func_new(&format!("give-back-{}", io.name()), move |mut cx, _, params, _| {
                let to = rep(&mut cx, &params[0]);
                let handle = rep(&mut cx, &params[1]);
                assert_eq!(to, handle + 1000, "given back to another wrapper");
                assert!(cx.data_mut().lent.remove(&(number, to)), "given back but not lent");
                Ok(())
            })
            .unwrap();
    }
    let mut root = linker.root();
    root.func_new(COMMIT, |mut cx, _, _, results| {
        let fails = cx.data().commit_fails;
        cx.data_mut().log.push("commit".into());
        results[0] = Val::Result(if fails { Err(None) } else { Ok(None) });
        Ok(())
    })
    .unwrap();
}

struct Rig {
    store: Store<Mock>,
    instance: Instance,
    interface: String,
}

impl Rig {
    /// Wraps the one interface of a world, between a callee that answers what `answer` says and
    /// this test as the caller.
    fn new(
        wit: &str,
        plan: fn(&Resolve, wit_parser::WorldId) -> Result<Vec<Wrap>, ComposeError>,
        callee: Io,
        answer: fn(&str, &[Val]) -> Option<Val>,
    ) -> Self {
        let mut resolve = Resolve::default();
        let io = resolve.push_group(group(WASI_IO)).unwrap();
        let package = resolve.push_group(group(wit)).unwrap();
        let world = resolve.select_world(&[package], Some("rig")).unwrap();
        // As a guest's component is read: what the world needs is among its imports.
        let interfaces = resolve.packages[io].interfaces.values();
        let interfaces: Vec<_> = interfaces.map(|id| (*id, resolve.id_of(*id).unwrap())).collect();
        let wraps = plan(&resolve, world).unwrap();
        let wrap = wraps[0].clone();
        let host_io = HostIo { resolve: &resolve, interfaces };
        let bytes = generate(&Job { resolve: &resolve, callee, wraps, host_io }).unwrap();
        wasmparser::validate(&bytes).unwrap();

        let engine = Engine::default();
        let component = Component::new(&engine, bytes).unwrap();
        let mut linker = Linker::new(&engine);
        adapter(&mut linker);
        let mut source = linker.instance(&wrap.source).unwrap();
        if wit.contains("resource channel") {
            resource(&mut source, "channel", 8);
        }
        for function in wrap.functions(&resolve) {
            let name = function.name.clone();
            source
                .func_new(&function.name, move |mut cx, _, params, results| {
                    let params: Vec<_> = params.iter().map(|value| to_text(&mut cx, value)).collect();
                    let shown: Vec<_> = params.iter().map(show).collect();
                    cx.data_mut().log.push(format!("{name}({})", shown.join(", ")));
                    if let Some(value) = answer(&name, &params) {
                        results[0] = to_handles(&mut cx, &value);
                    }
                    Ok(())
                })
                .unwrap();
        }
        let mut store = Store::new(&engine, Mock::default());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let key = resolve.worlds[world].imports.keys().chain(resolve.worlds[world].exports.keys());
        let key: Vec<_> = key.filter(|key| resolve.name_world_key(key) == wrap.target).collect();
        assert!(matches!(key[0], WorldKey::Interface(_)));
        Self { store, instance, interface: wrap.target }
    }

    /// Calls a function and returns its result; what the callee saw is in the log.
    fn call(&mut self, name: &str, params: &[Val]) -> Result<Option<Val>, String> {
        let interface = self.instance.get_export_index(&mut self.store, None, &self.interface).unwrap();
        let function = self.instance.get_export_index(&mut self.store, Some(&interface), name).unwrap();
        let function = self.instance.get_func(&mut self.store, function).unwrap();
        let params: Vec<_> = params.iter().map(|value| to_handles(&mut self.store, value)).collect();
        let count = function.ty(&self.store).results().len();
        let mut results = vec![Val::Bool(false); count];
        function.call(&mut self.store, &params, &mut results).map_err(|e| format!("{e:#}"))?;
        assert!(self.store.data().lent.is_empty(), "not given back: {:?}", self.store.data().lent);
        Ok(results.first().map(|value| to_text(&mut self.store, value)))
    }

    fn log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.store.data_mut().log)
    }
}

fn group(text: &str) -> UnresolvedPackageGroup {
    let mut map = wit_parser::SourceMap::default();
    map.push(std::path::Path::new("test.wit"), text);
    map.parse().map_err(|(_, error)| error.to_string()).unwrap()
}

fn echo(_: &str, params: &[Val]) -> Option<Val> {
    match params {
        [one] => Some(one.clone()),
        several => Some(Val::Tuple(several.to_vec())),
    }
}

fn show(value: &Val) -> String {
    format!("{value:?}").replace("String", "")
}

fn text(value: &str) -> Val {
    Val::String(value.to_owned())
}

fn some(value: Val) -> Val {
    Val::Option(Some(Box::new(value)))
}

fn case(name: &str, payload: Val) -> Val {
    Val::Variant(name.into(), Some(Box::new(payload)))
}

fn pair(label: &str, reader: &str, writer: Option<&str>) -> Val {
    Val::Record(vec![
        ("label".into(), text(label)),
        ("reader".into(), text(reader)),
        ("writer".into(), Val::Option(writer.map(|w| Box::new(text(w))))),
    ])
}

fn bridge() -> Rig {
    Rig::new(PROBE, plan_bridge, Io::Host, echo)
}

/// Values of `outcome` as the guest has them, with one of each shape.
fn outcomes() -> Vec<Val> {
    let many = (0..300).map(|n| {
        let writer = format!("@v-output-stream#{}", 3000 + n);
        pair(&"x".repeat(n), &format!("@v-input-stream#{}", 2000 + n), (n % 3 == 0).then_some(&writer))
    });
    let failed = Val::Variant("last-operation-failed".into(), Some(Box::new(text("@v-error#1009"))));
    vec![
        Val::Variant("nothing".into(), None),
        case("one", pair("größe", "@v-input-stream#1001", Some("@v-output-stream#1002"))),
        case("many", Val::List(many.collect())),
        case("many", Val::List(vec![])),
        case("wide", Val::U64(u64::MAX - 1)),
        case("poll", text("@v-pollable#1003")),
        case("error", failed),
        case("error", Val::Variant("closed".into(), None)),
    ]
}

/// Says how the host sees what the guest has.
fn as_host(value: &Val) -> String {
    let mut out = String::new();
    let shown = show(value);
    let mut rest = shown.as_str();
    while let Some(at) = rest.find("@v-") {
        out += &rest[..at];
        rest = &rest[at + 3..];
        let (name, after) = rest.split_once('#').unwrap();
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap();
        let number: u32 = after[..digits].parse().unwrap();
        out += &format!("@h-{name}#{}", number - 1000);
        rest = &after[digits..];
    }
    out + rest
}

#[test]
fn owned_handles_are_replaced_at_any_depth_and_all_else_is_kept() {
    let mut rig = bridge();
    for value in outcomes() {
        assert_eq!(rig.call("echo", std::slice::from_ref(&value)).unwrap().as_ref(), Some(&value));
        assert_eq!(rig.log(), [format!("echo({})", as_host(&value))]);
    }
}

#[test]
fn handles_in_lists_of_options_of_results_are_replaced() {
    let value = Val::List(
        (0..20u8)
            .map(|n| {
                let poll = |m: u8| {
                    Val::Result(Ok(Some(Box::new(text(&format!("@v-pollable#{}", 1000 + u32::from(m)))))))
                };
                let closed = Val::Result(Err(Some(Box::new(Val::Variant("closed".into(), None)))));
                let inner =
                    Val::List((0..n).map(|m| if m % 4 == 3 { closed.clone() } else { poll(m) }).collect());
                Val::Tuple(vec![Val::U8(n), if n % 5 == 4 { Val::Option(None) } else { some(inner) }])
            })
            .collect(),
    );
    let mut rig = bridge();
    assert_eq!(rig.call("nested", std::slice::from_ref(&value)).unwrap().as_ref(), Some(&value));
    assert_eq!(rig.log(), [format!("nested({})", as_host(&value))]);
}

#[test]
fn a_flat_result_is_replaced() {
    let mut rig = bridge();
    assert_eq!(rig.call("plain", &[text("@v-pollable#1005")]).unwrap(), Some(text("@v-pollable#1005")));
    assert_eq!(rig.log(), [r#"plain(("@h-pollable#5"))"#]);
}

#[test]
fn parameters_too_many_for_registers_are_replaced_in_memory() {
    let values: Vec<_> = outcomes().into_iter().take(4).collect();
    let mut rig = bridge();
    assert_eq!(rig.call("long", &values).unwrap(), Some(Val::Tuple(values)));
}

#[test]
fn borrowed_handles_are_lent_for_the_call_and_dropped_after() {
    let mut rig = Rig::new(PROBE, plan_bridge, Io::Host, |_, _| Some(Val::U32(7)));
    for also in [None, Some(text("@v-input-stream#1040"))] {
        let what = Val::List((0..50).map(|n| text(&format!("@v-pollable#{}", 1100 + n))).collect());
        let params = [what.clone(), Val::Option(also.clone().map(Box::new)), text("@channel#3")];
        assert_eq!(rig.call("watch", &params).unwrap(), Some(Val::U32(7)));
        let also = Val::Option(also.map(Box::new));
        let seen = format!("watch({}, {}, {})", as_host(&what), as_host(&also), show(&text("@channel#3")));
        assert_eq!(rig.log(), [seen]);
    }
}

#[test]
fn a_call_with_a_handle_of_the_file_systems_own_returns_none() {
    let mut rig = Rig::new(PROBE, plan_bridge, Io::Host, |_, _| Some(some(text("known"))));
    let params = |error: &str| [text(error), text("@v-pollable#1002"), text("@channel#4")];
    assert_eq!(rig.call("ask", &params("@v-error#1001")).unwrap(), Some(some(text("known"))));
    assert_eq!(rig.log().len(), 1);
    // Number 5 holds nothing of the host's. The host is not asked, and what was given is not
    // leaked.
    assert_eq!(rig.call("ask", &params("@v-error#5")).unwrap(), Some(Val::Option(None)));
    let mut log = rig.log();
    log.sort();
    assert_eq!(log, ["drop @channel#4", "drop @h-pollable#2"]);
    // And the next call is as good as the first.
    assert_eq!(rig.call("ask", &params("@v-error#1001")).unwrap(), Some(some(text("known"))));
}

#[test]
fn a_call_that_cannot_return_none_traps() {
    let own_handles: [(&str, Vec<Val>); 3] = [
        ("plain", vec![text("@v-pollable#5")]),
        ("echo", vec![case("poll", text("@v-pollable#5"))]),
        ("watch", vec![Val::List(vec![text("@v-pollable#5")]), Val::Option(None), text("@channel#1")]),
    ];
    for (name, params) in own_handles {
        let mut rig = bridge();
        let error = rig.call(name, &params).unwrap_err();
        assert!(error.contains("unreachable"), "{name}: {error}");
        assert!(rig.log().is_empty(), "{name} reached the host");
    }
}

#[test]
fn one_handle_lent_twice_in_a_call_traps() {
    let mut rig = bridge();
    let twice = Val::List(vec![text("@v-pollable#1005"), text("@v-pollable#1005")]);
    let error = rig.call("watch", &[twice, Val::Option(None), text("@channel#1")]).unwrap_err();
    assert!(error.contains("unreachable"), "{error}");
}

#[test]
fn memory_is_used_again_by_the_next_call() {
    let mut rig = bridge();
    rig.store.data_mut().limits = StoreLimitsBuilder::new().memory_size(8 << 20).build();
    rig.store.limiter(|mock| &mut mock.limits);
    let value = |bytes| case("one", pair(&"x".repeat(bytes), "@v-input-stream#1001", None));
    for _ in 0..100 {
        rig.call("echo", &[value(1 << 20)]).unwrap();
    }
    assert!(rig.call("echo", &[value(9 << 20)]).is_err(), "the limit is one");
}

#[test]
fn exports_are_wrapped_the_other_way_round() {
    const EXPORTED: &str = "
package test:probe;
interface probe {
  use wasi:io/streams@0.2.12.{input-stream};
  use wasi:io/poll@0.2.12.{pollable};
  resource channel;
  exchange: func(give: list<input-stream>) -> list<input-stream>;
  use-it: func(channel: borrow<channel>) -> channel;
}
world rig { export probe; }
";
    let mut rig = Rig::new(EXPORTED, plan_envelope, Io::Virtual, echo);
    let give = Val::List(vec![text("@h-input-stream#1"), text("@h-input-stream#2")]);
    assert_eq!(rig.call("exchange", std::slice::from_ref(&give)).unwrap(), Some(give));
    assert_eq!(
        rig.log(),
        [r#"exchange(List([("@v-input-stream#1001"), ("@v-input-stream#1002")]))"#, "commit"]
    );
}

#[test]
fn an_export_commits_when_it_returns_and_fails_if_that_fails() {
    let answer = |name: &str, _: &[Val]| match name {
        "run" => Some(Val::Result(Ok(None))),
        "count" => Some(Val::Result(Ok(Some(Box::new(text("many")))))),
        _ => Some(Val::U32(3)),
    };
    let mut rig = Rig::new(RUN, plan_envelope, Io::Virtual, answer);
    assert_eq!(rig.call("run", &[]).unwrap(), Some(Val::Result(Ok(None))));
    assert_eq!(rig.log(), ["run()", "commit"]);
    assert_eq!(rig.call("other", &[]).unwrap(), Some(Val::U32(3)));
    assert_eq!(rig.log(), ["other()", "commit"]);

    rig.store.data_mut().commit_fails = true;
    assert_eq!(rig.call("run", &[]).unwrap(), Some(Val::Result(Err(None))));
    let words = Val::List(vec![text("a"), text("bb")]);
    assert_eq!(rig.call("count", &[words]).unwrap(), Some(Val::Result(Err(None))));
    assert!(rig.call("other", &[]).unwrap_err().contains("unreachable"));
}

#[test]
fn exit_commits_first_and_is_no_success_if_that_fails() {
    let status = |ok: bool| Val::Result(if ok { Ok(None) } else { Err(None) });
    for (fails, asked, told) in
        [(false, true, true), (false, false, false), (true, true, false), (true, false, false)]
    {
        let mut rig = Rig::new(RUN, plan_bridge, Io::Host, |_, _| None);
        rig.store.data_mut().commit_fails = fails;
        rig.call("exit", &[status(asked)]).unwrap();
        assert_eq!(rig.log(), ["commit".to_owned(), format!("exit({})", show(&status(told)))]);
    }
}
