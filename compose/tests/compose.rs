//! Claims about every composition.

use kvfs_compose::{ADAPTER, Audit, AuditLevel, Compose, ComposeError, Kind, Link, Mode, Provider, inspect};

const BOTH: [Link; 2] = [Link::Component, Link::Core];

#[test]
fn every_version_of_wasi_02_composes_and_keeps_its_names() {
    let versions = ["0.2.0", "0.2.3", "0.2.6", "0.2.9", "0.2.12"];
    for (version, link) in versions.into_iter().flat_map(|version| BOTH.map(|link| (version, link))) {
        let composed = Compose::new(&kvfs_wit_guests::guest(kvfs_wit_guests::COMMAND, version))
            .link(link)
            .build()
            .unwrap();
        assert_eq!((composed.report.linked, &composed.report.not_linked), (link == Link::Core, &None));
        for import in composed.report.imports.iter().filter(|name| name.starts_with("wasi:")) {
            assert!(import.ends_with(&format!("@{version}")), "{version}: {import}");
        }
        assert!(composed.report.imports.contains(&"kvfs:store/kv-store@0.1.0".to_owned()));
        assert!(!composed.report.imports.iter().any(|name| name.starts_with("wasi:filesystem")));
    }
}

#[test]
fn a_guest_of_two_versions_composes() {
    // Like a program with a library that was made for another version.
    let two = r#"
        package test:guest;
        world guest {
          import wasi:filesystem/types@WASI;
          import wasi:filesystem/preopens@WASI;
          import wasi:cli/stdout@WASI;
          export wasi:cli/run@WASI;
        }"#;
    let guest = kvfs_wit_guests::guest(two, "0.2.3");
    let text = wasmprinter::print_bytes(&guest).unwrap();
    // One interface under a newer name beside the older ones.
    let mixed = text.replace("wasi:cli/stdout@0.2.3", "wasi:cli/stdout@0.2.6");
    assert_ne!(text, mixed);
    let mixed = wat::parse_str(mixed).unwrap();
    for link in BOTH {
        let composed = Compose::new(&mixed).link(link).build().unwrap();
        assert!(composed.report.imports.contains(&"wasi:cli/stdout@0.2.6".to_owned()));
        assert!(composed.report.imports.contains(&"wasi:io/streams@0.2.3".to_owned()));
        assert_eq!(composed.report.not_linked, None);
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let guest = kvfs_wit_guests::guest(kvfs_wit_guests::COMMAND, "0.2.9");
    for link in BOTH {
        let compose = Compose::new(&guest).mode(Mode::Lazy).volume("v").link(link);
        let first = compose.clone().build().unwrap();
        let second = compose.build().unwrap();
        assert!(first.bytes == second.bytes, "{link:?}");
        assert_eq!(first.report, second.report);
    }
}

#[test]
fn the_configuration_is_found_in_the_result() {
    let guest = kvfs_wit_guests::guest(kvfs_wit_guests::COMMAND, "0.2.9");
    for link in BOTH {
        let composed = Compose::new(&guest).mode(Mode::Strict).volume("data").link(link).build().unwrap();
        let found = inspect(&composed.bytes).unwrap();
        let Kind::Composed { config, linked, .. } = &found.kind else { panic!("{found}") };
        assert_eq!(config, "mode=strict\nvolume=data\n");
        assert_eq!(*linked, link == Link::Core);
    }
    assert_eq!(inspect(&guest).unwrap().kind, Kind::Component);

    let plain = Compose::new(&guest).build().unwrap();
    assert!(
        matches!(inspect(&plain.bytes).unwrap().kind, Kind::Composed { config, .. } if config.is_empty())
    );
}

#[test]
fn a_result_is_not_composed_again() {
    let guest = kvfs_wit_guests::guest(kvfs_wit_guests::COMMAND, "0.2.9");
    for link in BOTH {
        let composed = Compose::new(&guest).link(link).build().unwrap();
        assert!(matches!(Compose::new(&composed.bytes).build(), Err(ComposeError::AlreadyComposed)));
    }
}

#[test]
fn a_guest_that_needs_no_bridge_gets_no_io_of_the_host() {
    let wit = r#"
        package test:guest;
        world guest {
          import wasi:filesystem/types@WASI;
          import wasi:filesystem/preopens@WASI;
          export wasi:cli/run@WASI;
        }"#;
    for link in BOTH {
        let composed = Compose::new(&kvfs_wit_guests::guest(wit, "0.2.3")).link(link).build().unwrap();
        let mut imports = composed.report.imports.clone();
        imports.sort();
        let expected = ["kvfs:store/kv-store@0.1.0", "wasi:clocks/wall-clock@0.2.3"];
        assert_eq!(imports, expected, "{}", composed.report);
    }
}

#[test]
fn a_file_that_is_no_wasm_and_a_damaged_one_give_different_errors() {
    assert!(matches!(Compose::new(b"").build(), Err(ComposeError::NotWasm)));
    assert!(matches!(Compose::new(b"#!/bin/sh\n").build(), Err(ComposeError::NotWasm)));
    let guest = kvfs_wit_guests::guest(kvfs_wit_guests::COMMAND, "0.2.9");
    for length in (4..guest.len()).step_by(guest.len() / 97) {
        match Compose::new(&guest[..length]).build() {
            Err(ComposeError::Invalid { offset, .. }) => assert!(offset <= length as u64),
            // Cut between two sections, the file is valid without its exports, or without
            // everything.
            Err(ComposeError::NothingToVirtualize | ComposeError::NothingToRun) => {}
            other => panic!("cut at {length}: {:?}", other.map(|c| c.report)),
        }
    }
}

#[test]
fn damage_anywhere_is_an_error_and_not_a_panic() {
    let guest = kvfs_wit_guests::guest(kvfs_wit_guests::COMMAND, "0.2.9");
    for at in (8..guest.len()).step_by(guest.len() / 61) {
        for flip in [0x01, 0xff] {
            let mut damaged = guest.clone();
            damaged[at] ^= flip;
            // Some bytes are in names or padding, and the changed file is a guest too.
            for link in BOTH {
                let _ = Compose::new(&damaged).link(link).build();
            }
        }
    }
}

#[test]
fn a_module_that_is_no_adapter_is_refused() {
    let guest = kvfs_wit_guests::guest(kvfs_wit_guests::COMMAND, "0.2.9");
    let module = wat::parse_str("(module)").unwrap();
    for adapter in [&b"junk"[..], &module] {
        let error = Compose::new(&guest).adapter(adapter).build().unwrap_err();
        assert!(matches!(error, ComposeError::BadAdapter { .. }), "{error}");
    }
}

/// An adapter from before the audit log ignored the key: nothing was logged, and nobody was told.
#[test]
fn regression_an_audit_log_takes_an_adapter_that_knows_of_it() {
    let guest = kvfs_wit_guests::guest(kvfs_wit_guests::COMMAND, "0.2.9");
    let mut old = ADAPTER.to_vec();
    let name = b"kvfs_config_version";
    let places: Vec<usize> = (0..old.len() - name.len()).filter(|at| old[*at..].starts_with(name)).collect();
    for at in &places {
        old[at + name.len() - 1] = b'?';
    }
    assert!(!places.is_empty());
    for link in BOTH {
        let compose = || Compose::new(&guest).link(link);
        let audit = || Audit::new(AuditLevel::Changes);
        let error = compose().adapter(&old).audit(audit()).build().unwrap_err();
        assert!(matches!(error, ComposeError::OldAdapter { found: 0, needed: 1 }), "{error}");
        assert!(error.to_string().starts_with("the adapter has version 0 of the configuration"), "{error}");
        compose().adapter(&old).build().unwrap();
        compose().adapter(ADAPTER).audit(audit()).build().unwrap();
        compose().audit(audit()).build().unwrap();
    }
}

#[test]
fn a_provider_takes_the_place_of_the_host() {
    let wit =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit/store/kv-store.wit")).unwrap();
    let provider = kvfs_wit_guests::guest(&format!("{wit}\nworld guest {{ export kv-store; }}"), "0.2.12");
    let guest = kvfs_wit_guests::guest(kvfs_wit_guests::COMMAND, "0.2.9");
    for link in BOTH {
        let provider = Provider::Component(provider.clone());
        let composed = Compose::new(&guest).provider(provider).link(link).build().unwrap();
        assert!(!composed.report.imports.iter().any(|name| name.starts_with("kvfs:")), "{}", composed.report);
        assert_eq!(composed.report.not_linked, None);
    }
}

#[test]
fn a_component_that_exports_no_store_is_no_provider() {
    let guest = kvfs_wit_guests::guest(kvfs_wit_guests::COMMAND, "0.2.9");
    let module = wat::parse_str("(module)").unwrap();
    let empty = wat::parse_str("(component)").unwrap();
    let other =
        wat::parse_str(r#"(component (instance $i) (export "kvfs:store/kv-store@0.1.0" (instance $i)))"#);
    for bytes in [b"junk".to_vec(), module, empty, other.unwrap()] {
        let error = Compose::new(&guest).provider(Provider::Component(bytes)).build().unwrap_err();
        assert!(matches!(error, ComposeError::BadProvider { .. }), "{error}");
    }
}

#[test]
fn a_missing_or_different_function_of_a_provider_is_named() {
    let wit = include_str!("../../wit/store/kv-store.wit");
    let scan = "scan: func(start: list<u8>, end: list<u8>, max-entries: u32, max-bytes: u32) \
                -> result<list<entry>, error>;";
    let level = "enum durability {";
    let expected = "expected: option<list<u8>>,";
    for (part, instead, named) in [
        (scan, "", "no function `scan`"),
        (scan, &scan.replace("max-bytes: u32", "max-bytes: u64"), "the function `scan`"),
        (scan, &scan.replace("result<list<entry>, error>", "result<list<entry>>"), "the function `scan`"),
        (level, "enum durability { eventually,", "the function `apply`"),
        (expected, "expected: list<u8>,", "the function `apply`"),
        ("get-limits: func()", "get-limits: func(x: u8)", "the function `get-limits`"),
    ] {
        assert!(wit.contains(part), "{part}");
        let wit = wit.replace(part, instead);
        let provider =
            kvfs_wit_guests::guest(&format!("{wit}\nworld guest {{ export kv-store; }}"), "0.2.12");
        let guest = kvfs_wit_guests::guest(kvfs_wit_guests::COMMAND, "0.2.9");
        let error = Compose::new(&guest).provider(Provider::Component(provider)).build().unwrap_err();
        assert!(matches!(error, ComposeError::BadProvider { .. }), "{error}");
        assert!(error.to_string().contains(named), "{instead}: {error}");
    }
    // Exports beside the contract are allowed.
    let more = wit.replace(scan, &format!("{scan} more: func();"));
    let provider = kvfs_wit_guests::guest(&format!("{more}\nworld guest {{ export kv-store; }}"), "0.2.12");
    assert!(Provider::Component(provider).to_component().unwrap().is_some());
}

#[test]
fn errors_are_one_line_that_says_what_to_do() {
    let errors = [
        Compose::new(b"x").build().unwrap_err(),
        Compose::new(b"\0asm").build().unwrap_err(),
        Compose::new(&wat::parse_str("(component)").unwrap()).build().unwrap_err(),
        Compose::new(&kvfs_wit_guests::guest(kvfs_wit_guests::COMMAND, "0.2.9"))
            .volume("")
            .build()
            .unwrap_err(),
        Compose::new(&kvfs_wit_guests::guest(kvfs_wit_guests::COMMAND, "0.2.9"))
            .adapter(&b"x"[..])
            .build()
            .unwrap_err(),
    ];
    for error in errors {
        let text = error.to_string();
        assert!(!text.contains('\n') && text.contains("; "), "{text}");
    }
}

/// Lists the inner components: names of exports, number of lifted functions, number of functions
/// with code.
fn inner_components(bytes: &[u8]) -> Vec<(Vec<String>, u32, u32)> {
    use wasmparser::{CanonicalFunction, Parser, Payload};
    let mut found = Vec::new();
    for payload in Parser::new(0).parse_all(bytes).map(Result::unwrap) {
        let Payload::ComponentSection { unchecked_range: range, .. } = payload else { continue };
        let (mut exports, mut lifted, mut with_code, mut depth) = (Vec::new(), 0, 0, 0);
        let inside = &bytes[range.start as usize..range.end as usize];
        for payload in Parser::new(0).parse_all(inside).map(Result::unwrap) {
            match payload {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                Payload::CodeSectionStart { count, .. } => with_code += count,
                Payload::ComponentCanonicalSection(functions) if depth == 0 => {
                    let lift =
                        |function: &CanonicalFunction| matches!(function, CanonicalFunction::Lift { .. });
                    lifted += functions.into_iter().map(Result::unwrap).filter(lift).count() as u32;
                }
                Payload::ComponentExportSection(names) if depth == 0 => {
                    exports.extend(names.into_iter().map(|export| export.unwrap().name.name.to_owned()));
                }
                _ => {}
            }
        }
        found.push((exports, lifted, with_code));
    }
    found
}

#[test]
fn functions_without_handles_of_wasi_io_cost_no_code_in_the_bridge() {
    let composed = |wit: &str| Compose::new(&kvfs_wit_guests::guest(wit, "0.2.12")).build().unwrap();
    let bridge_of = |wit: &str| {
        let composed = composed(wit);
        let inside = inner_components(&composed.bytes).into_iter();
        let mut bridges =
            inside.filter(|(exports, ..)| exports.iter().any(|name| name.starts_with("wasi:sockets/tcp@")));
        let (_, lifted, with_code) = bridges.next().expect("a bridge");
        assert!(bridges.next().is_none());
        (composed.report.bridged, lifted, with_code)
    };
    let world = |more: &str| {
        format!(
            "package test:guest; world guest {{ import wasi:filesystem/types@WASI; {more} export wasi:cli/run@WASI; }}"
        )
    };
    let (bridged, lifted, with_code) = bridge_of(&world("import wasi:sockets/tcp@WASI;"));
    let shims: usize = bridged.iter().map(|interface| interface.shims).sum();
    let functions: usize = bridged.iter().map(|interface| interface.functions).sum();
    assert!(shims > 0 && functions > 2 * shims, "{bridged:?}");
    assert_eq!(lifted as usize, shims, "each function with handles is lifted, and no other: {bridged:?}");
    // Interfaces without such functions add nothing.
    let random =
        "import wasi:sockets/tcp@WASI; import wasi:random/random@WASI; import wasi:clocks/wall-clock@WASI;";
    let (same, again, code_again) = bridge_of(&world(random));
    assert_eq!((same, again, code_again), (bridged, lifted, with_code));
}
