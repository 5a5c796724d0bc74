//! Statements of a file are not trusted: a guest is composed, a result is composed again from its
//! parts, and everything else is refused.

use kvfs_compose::{
    Compose, ComposeError, FixedSource, Kind, Link, Mode, Mount, Policy, Provider, Rights, fixed_mounts,
    fixed_provider, inspect, recompose,
};
use kvfs_wit_guests::{sections, whole, with_text};
use wit_parser::ManglingAndAbi;

const BOTH: [Link; 2] = [Link::Component, Link::Core];

fn guest() -> Vec<u8> {
    kvfs_wit_guests::guest(kvfs_wit_guests::COMMAND, "0.2.9")
}

/// A provider with an import.
fn provider_with(import: &str) -> Vec<u8> {
    kvfs_wit_guests::guest_beside_store(&provider_wit(import), "0.2.9")
}

fn provider_wit(import: &str) -> String {
    format!("package test:provider; world guest {{ {import} export kvfs:store/kv-store@0.1.0; }}")
}

/// Gives a module the export and the data by which the adapter finds its images.
fn with_decoy(text: String, images: &[u8]) -> String {
    let data = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let pair = [65_536, images.len() as u32].map(u32::to_le_bytes).concat();
    let (front, _) = text.trim_end().rsplit_once(')').unwrap();
    format!(
        r#"{front}
        (global $decoy i32 (i32.const 2048)) (export "kvfs_image" (global $decoy))
        (data (i32.const 2048) "{}") (data (i32.const 65536) "{}"))"#,
        data(&pair),
        data(images)
    )
}

/// Adds a section with a name and a text to a component.
fn with_section(bytes: &[u8], name: &str, text: &[u8]) -> Vec<u8> {
    let mut sections = sections(bytes);
    sections.push((0, [&[name.len() as u8], name.as_bytes(), text].concat()));
    whole(&sections)
}

#[test]
fn a_result_is_recomposed_byte_for_byte() {
    let trees = tempfile::tempdir().unwrap();
    let tree = trees.path().join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), "x".repeat(100_000)).unwrap();
    let mounts = ["/=kv,max-bytes=1M".to_owned(), format!("/lib=image:{}", tree.display())];
    let overlay = [format!("/=overlay:{}:upper", tree.display()), "/host=host:given,ro".to_owned()];
    let providers = [
        Provider::Host,
        Provider::Memory { size_bytes: None },
        Provider::Memory { size_bytes: Some(1 << 20) },
        Provider::File { path: None, accept_loss: false },
        Provider::File { path: Some("/state".into()), accept_loss: false },
        Provider::Keyvalue { bucket: Some("mine".into()) },
        Provider::Component(provider_with("import my:host/log;")),
        // A provider of the library, as a component.
        Provider::Component(Provider::Memory { size_bytes: Some(1 << 20) }.to_component().unwrap().unwrap()),
    ];
    let core = wat::parse_str(
        r#"(module
             (import "wasi_snapshot_preview1" "path_open"
               (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
             (memory (export "memory") 1) (func (export "_start")))"#,
    );
    for guest in [guest(), core.unwrap()] {
        for link in BOTH {
            for provider in &providers {
                for mounts in [&[][..], &mounts, &overlay] {
                    let compose = Compose::new(&guest)
                        .link(link)
                        .provider(provider.clone())
                        .mode(Mode::Strict)
                        .volume("v");
                    let compose = mounts.iter().fold(compose, |c, mount| c.mount(mount.parse().unwrap()));
                    let composed = compose.build().unwrap();
                    let again =
                        recompose(&composed.bytes).unwrap_or_else(|e| panic!("{provider:?} {mounts:?}: {e}"));
                    assert!(again.is_same(), "{link:?} {provider:?} {mounts:?}");
                    assert_eq!(again.bytes.as_ref(), composed.bytes.as_slice());
                    assert_eq!(fixed_mounts(&again.bytes).len(), mounts.len().max(1));
                    // Slow, and no other case.
                    if mounts.is_empty() {
                        continue;
                    }
                    let found = inspect(&composed.bytes).unwrap();
                    assert!(matches!(found.kind, Kind::Composed { is_same: true, .. }), "{found}");
                    assert!(found.warnings.is_empty(), "{found}");
                }
            }
        }
    }
}

#[test]
fn a_guest_that_imports_the_store_is_refused_whatever_the_spelling() {
    let wit = |import: &str| {
        format!(
            "package test:guest; world guest {{ import wasi:filesystem/types@WASI; {import} export wasi:cli/run@WASI; }}"
        )
    };
    let import = wit("import kvfs:store/kv-store@0.1.0;");
    let component = kvfs_wit_guests::guest_beside_store(&import, "0.2.9");
    let text = wasmprinter::print_bytes(&component).unwrap();
    let named = |name: &str| wat::parse_str(text.replace("kvfs:store/kv-store@0.1.0", name)).unwrap();
    let mut guests = vec![component];
    guests
        .extend(["kvfs:store/kv-store@0.1.7", "kvfs:store/kv-store@0.2.0", "kvfs:store/kv-store"].map(named));
    // A core module can spell the import in two ways.
    for mangling in [ManglingAndAbi::Standard32, ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync)] {
        guests.push(kvfs_wit_guests::core_module(&import, "0.2.9", mangling));
    }
    for guest in guests {
        for link in BOTH {
            for provider in [Provider::Host, Provider::Memory { size_bytes: None }] {
                let built = Compose::new(&guest).link(link).provider(provider).build();
                assert!(
                    matches!(built, Err(ComposeError::AsksForStore { .. })),
                    "{:?}",
                    built.map(|c| c.report)
                );
            }
        }
        let found = inspect(&guest).unwrap();
        assert!(matches!(found.kind, Kind::Component | Kind::CoreModule), "{found}");
    }
    let found = inspect(&kvfs_wit_guests::guest_beside_store(&import, "0.2.9")).unwrap();
    assert!(found.warnings.iter().any(|warning| warning.contains("--allow-raw-store")), "{found}");
}

#[test]
fn forged_sections_make_no_guest_a_composition() {
    let text = b"version=0.1.0\nmount=/\trw\thost:secret\nprovider=file\npath=/secret\n";
    let forged = with_section(&guest(), "kvfs", text);
    let with_parts = with_section(&forged, "kvfs-parts", b"\x01\x00\x00");
    for forged in [forged, with_parts] {
        let built = Compose::new(&forged).build();
        assert!(matches!(built, Err(ComposeError::UnknownParts | ComposeError::AlreadyComposed)));
        assert!(matches!(recompose(&forged), Err(ComposeError::UnknownParts)));
        let found = inspect(&forged).unwrap();
        assert_eq!(found.kind, Kind::Component);
        assert!(found.warnings.iter().any(|warning| warning.contains("which is not true")), "{found}");
        assert!(found.mounts.is_empty() && found.store.is_none(), "{found}");
        assert!(fixed_mounts(&forged).is_empty() && fixed_provider(&forged).is_none());
    }
}

#[test]
fn recomposing_undoes_changes_of_a_result() {
    for link in BOTH {
        let honest = Compose::new(&guest()).link(link).volume("v").build().unwrap().bytes;
        // Another module in it.
        let mut more = sections(&honest);
        let evil = wat::parse_str(r#"(module (func (export "evil")))"#).unwrap();
        more.insert(more.len() - 2, (1, evil));
        // Another byte in the code of the adapter.
        let mut code = honest.clone();
        let at = kvfs_compose::ADAPTER.len() / 2;
        let needle = &kvfs_compose::ADAPTER[at..at + 32];
        let place = honest.windows(32).position(|window| window == needle).expect("the adapter's code");
        code[place] ^= 1;
        for changed in [whole(&more), code] {
            assert_ne!(changed, honest);
            let made = recompose(&changed).unwrap();
            assert!(!made.is_same());
            assert!(made.bytes.as_ref() == honest.as_slice(), "{link:?}: not what composition makes");
            if let Ok(found) = inspect(&changed) {
                assert!(matches!(found.kind, Kind::Composed { is_same: false, .. }), "{found}");
                assert!(found.warnings.iter().any(|warning| warning.contains("changed")), "{found}");
            }
        }
    }
}

#[test]
fn a_configuration_that_composition_would_not_write_is_refused() {
    let composed = Compose::new(&guest()).mode(Mode::Lazy).volume("v").build().unwrap();
    let same = with_text(&composed.bytes, |text| text);
    assert!(recompose(&same).unwrap().is_same());
    let cases = [
        ("mode=lazy\n", "mode=later\n"),
        ("mode=lazy\n", "mode=lazy\nmode=strict\n"),
        ("volume=v\n", "volume=v\nvolume=w\n"),
        ("volume=v\n", "volume=\n"),
        ("volume=v\n", "volume=a\u{7}\n"),
        ("volume=v\n", "volume=v\0\n"),
        ("volume=v\n", "volume=v\nfuture=1\n"),
        ("volume=v\n", "mount=/\trw\tkv:a\nmount=/\trw\tkv:b\n"),
        ("volume=v\n", "mount=relative\trw\tkv:a\n"),
        ("volume=v\n", "mount=/\trw\timage:0:10\n"),
        ("volume=v\n", "mount=/\trw\timage:0:99999999999999999999\n"),
        ("volume=v\n", "mount=/\tro\timage:18446744073709551615:2\n"),
        ("volume=v\n", "mount=/h\trw\thost:\n"),
        ("volume=v\n", "mount=/h\trw\thost:x\ta=../../etc\n"),
        ("volume=v\n", "limits=v\tmany\t-\t-\n"),
        ("volume=v\n", "limits=v\t-\t-\n"),
        ("volume=v\n", "limits=v\tfile:-\t-\t-\t-\n"),
        ("volume=v\n", "limits=v\tfile:1\tfile:1\t-\t-\t-\n"),
        ("volume=v\n", "max-descriptors=20\nmax-descriptors=20\n"),
        ("volume=v\n", "max-descriptors=15\n"),
        ("volume=v\n", "max-cached-bytes=1048576\nmax-dirty-bytes=1048577\n"),
        ("volume=v\n", "mount=/\trw\tkv:v\nlimits=v\t1\t1\n"),
        ("volume=v\n", "limits=v\t-\t-\t-\t-\n"),
        ("volume=v\n", "mount=/\tro\timage:0:0:v\n"),
        ("volume=v\n", "mount=/\trw\toverlay:0:0\n"),
        ("volume=v\n", "mount=/\trw:read\tkv:v\n"),
        ("volume=v\n", "mount=/\trw:\tkv:v\n"),
        ("volume=v\n", "mount=/\trw\tkv:v\nrule=hide a\n"),
        ("volume=v\n", "rule=hide a\nmount=/\trw:all\tkv:v\n"),
        ("volume=v\n", "mount=/\trw:all\tkv:v\nrule=hide\n"),
        ("volume=v\n", "mount=/\trw:all\tkv:v\nrule=hide a//b\n"),
        ("volume=v\n", "mount=/\trw:all\tkv:v\nrule=hide a\nmount=/a\trw\tkv:w\n"),
        ("volume=v\n", "share=my:log@1.0.0\n"),
        ("volume=v\n", "provider=component\n"),
        ("volume=v\n", "provider=tape\n"),
        ("volume=v\n", "provider=file\nsize=5\n"),
        ("volume=v\n", "provider=memory\nsize=5\n"),
        ("volume=v\n", "provider=file\npath=/kvfs\nmount=/h\trw\thost:/kvfs\n"),
        ("volume=v\n", "link=wire\n"),
    ];
    for (part, instead) in cases {
        let forged = with_text(&composed.bytes, |text| {
            assert!(text.contains(part), "{text}");
            text.replace(part, instead)
        });
        let made = recompose(&forged);
        assert!(made.is_err(), "{instead:?} was taken");
        let found = inspect(&forged).unwrap();
        assert_eq!(found.kind, Kind::Component, "{instead:?}: {found}");
    }
    // A change to another valid option gives the result of composing with that option.
    let other = with_text(&composed.bytes, |text| text.replace("volume=v", "volume=w"));
    let made = recompose(&other).unwrap();
    assert!(made.bytes == Compose::new(&guest()).mode(Mode::Lazy).volume("w").build().unwrap().bytes);
}

#[test]
fn a_provider_of_its_own_is_not_given_the_store_of_the_host() {
    let provider = Provider::Component(provider_with("import kvfs:store/kv-store@0.1.0;"));
    for link in BOTH {
        let composed = Compose::new(&guest()).link(link).provider(provider.clone()).build().unwrap();
        assert!(composed.report.imports.iter().any(|name| name.starts_with("kvfs:store/")));
        assert!(matches!(recompose(&composed.bytes), Err(ComposeError::ProviderAsksForStore { .. })));
        let found = inspect(&composed.bytes).unwrap();
        assert!(found.warnings.iter().any(|warning| warning.contains("provider of its own")), "{found}");
    }
}

#[test]
fn a_provider_of_the_library_is_recognised_by_its_bytes_not_by_its_statement() {
    let file =
        Provider::File { path: Some("/data".into()), accept_loss: false }.to_component().unwrap().unwrap();
    let mount = || "/h=host:/data".parse().unwrap();
    let built = |bytes| Compose::new(&guest()).provider(Provider::Component(bytes)).mount(mount()).build();
    let error = built(file.clone()).unwrap_err().to_string();
    assert!(error.contains("is the store of the provider `file`"), "{error}");
    // With one byte of a name changed it is another provider, whatever its configuration says.
    let at = file.windows(8).position(|window| window == b"producer").expect("a section of producers");
    let mut other = file;
    other[at + 4] = b'X';
    let composed = Compose::new(&guest()).provider(Provider::Component(other)).build().unwrap();
    assert!(recompose(&composed.bytes).unwrap().provider.to_string().contains("of its own"));
    assert_eq!(fixed_provider(&composed.bytes).map(|p| p.to_string()), None);
}

#[test]
fn guest_and_provider_share_no_package_that_may_hold_the_store() {
    let world = |import: &str| {
        format!(
            "package test:guest; world guest {{ import wasi:filesystem/types@WASI; import wasi:clocks/wall-clock@WASI; \
             {import} export wasi:cli/run@WASI; }}"
        )
    };
    let guest_of = |import: &str| kvfs_wit_guests::guest_beside_store(&world(import), "0.2.9");
    let own = |import: &str| Provider::Component(provider_with(import));
    let keyvalue = || Provider::Keyvalue { bucket: None };
    let refused = [
        ("import wasi:keyvalue/store@0.2.0-draft;", keyvalue(), "wasi:keyvalue"),
        ("import wasi:keyvalue/store@0.2.0-draft2;", keyvalue(), "wasi:keyvalue"),
        ("import wasi:keyvalue/atomics@0.2.0-draft2;", keyvalue(), "wasi:keyvalue"),
        ("import my:host/log;", own("import my:host/log;"), "my:host"),
        ("import my:host/log;", own("import my:host/database;"), "my:host"),
        ("import peek: func() -> u32;", own("import peek: func() -> u32;"), "peek"),
    ];
    for (import, provider, package) in refused {
        for link in BOTH {
            let guest = guest_of(import);
            let compose = Compose::new(&guest).link(link).provider(provider.clone());
            let error = compose.clone().build().unwrap_err();
            assert!(
                matches!(&error, ComposeError::SharedWithProvider { package: found, .. } if found == package),
                "{import}: {error}"
            );
            let shared = compose.clone().share(package).build().unwrap();
            assert!(recompose(&shared.bytes).unwrap().is_same());
            assert!(compose.share("other:package").build().is_err());
        }
    }
    let fine = [
        ("import wasi:random/random@WASI;", keyvalue()),
        ("import my:host/log;", keyvalue()),
        ("import my:host/log;", Provider::File { path: None, accept_loss: false }),
        ("import wasi:clocks/monotonic-clock@WASI;", own("import wasi:clocks/monotonic-clock@WASI;")),
        ("import wasi:sockets/tcp@WASI;", own("import wasi:sockets/tcp@WASI;")),
        ("", own("import my:host/log; import wasi:filesystem/preopens@WASI;")),
    ];
    for (import, provider) in fine {
        Compose::new(&guest_of(import))
            .provider(provider)
            .build()
            .unwrap_or_else(|e| panic!("{import}: {e}"));
    }
}

#[test]
fn a_directory_of_the_host_is_not_mounted_beside_a_provider_that_may_have_its_store_there() {
    let provider = Provider::Component(provider_with("import wasi:filesystem/preopens@WASI;"));
    let guest = guest();
    let compose = || Compose::new(&guest).provider(provider.clone()).mount("/h=host:given".parse().unwrap());
    let error = compose().build().unwrap_err().to_string();
    assert!(error.contains("--share wasi:filesystem"), "{error}");
    compose().share("wasi:filesystem").build().unwrap();
}

#[test]
fn images_are_taken_from_nobody_but_the_adapter() {
    let tree = tempfile::tempdir().unwrap();
    std::fs::write(tree.path().join("file"), "what was packed").unwrap();
    let mount = format!("/lib=image:{}", tree.path().display());
    let build = |guest: &[u8], provider: Vec<u8>, link| {
        let compose = Compose::new(guest).link(link).provider(Provider::Component(provider));
        compose.mount("/=kv".parse().unwrap()).mount(mount.parse().unwrap()).build()
    };
    let image_of = |bytes: &[u8]| {
        let mounts = fixed_mounts(bytes);
        let image = mounts.iter().find_map(|mount| match &mount.source {
            FixedSource::Image { image } => Some(image.to_vec()),
            _ => None,
        });
        image.expect("an image")
    };
    let honest = image_of(&build(&guest(), provider_with(""), Link::Component).unwrap().bytes);
    let mut forged = honest.clone();
    let place = forged.windows(15).position(|window| window == b"what was packed").expect("the file");
    forged[place] = b'W';
    for decoy in [forged, b"short".to_vec(), [honest.as_slice(), b"more"].concat()] {
        let provider =
            kvfs_wit_guests::guest_changed(&provider_wit(""), "0.2.9", |text| with_decoy(text, &decoy));
        let guest_with = kvfs_wit_guests::guest_changed(kvfs_wit_guests::COMMAND, "0.2.9", |text| {
            with_decoy(text, &decoy)
        });
        for link in BOTH {
            for (guest, provider) in [(&guest(), provider.clone()), (&guest_with, provider_with(""))] {
                let composed = build(guest, provider, link).unwrap();
                assert_eq!(composed.report.not_linked, None);
                assert!(image_of(&composed.bytes) == honest, "{link:?}: another's bytes");
                let again = recompose(&composed.bytes).unwrap();
                assert!(again.is_same() && image_of(&again.bytes) == honest, "{link:?}");
            }
        }
    }
}

#[test]
fn a_very_long_configuration_is_refused_fast_and_in_few_words() {
    let composed = Compose::new(&guest()).volume("v").build().unwrap();
    let forged = |instead: &str| with_text(&composed.bytes, |text| text.replace("volume=v\n", instead));
    let said = |bytes: &[u8]| recompose(bytes).unwrap_err().to_string();

    let many = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    let limits = |count| many(count, &|i| format!("limits=v{i}\t1\t1\t1\n"));
    let mounts = |count| many(count, &|i| format!("mount=/{i}\trw\tkv:w\n"));
    for lines in [mounts(100_000) + &limits(100_000), limits(100_000) + "mount=/\trw\tkv:v\n"] {
        let bytes = forged(&lines);
        assert!(said(&bytes).contains("more than 64 mounts, or limits"), "{}", said(&bytes));
        assert!(fixed_mounts(&bytes).len() <= 64);
    }

    let start = std::time::Instant::now();
    let files = many(200_000, &|i| format!("\tfile-{i}=some/file"));
    assert!(
        recompose(&forged(&format!("mount=/h\tro\thost:x{files}\n"))).is_err(),
        "too long for an adapter"
    );
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());

    let long = "x".repeat(1_000_000);
    for line in [
        format!("future={long}\n"),
        format!("mode={long}\n"),
        format!("mount=/{long}\trw\tkv:v\n"),
        format!("share=my:{long}!\n"),
    ] {
        let told = said(&forged(&line));
        assert!(told.len() < 1000, "{} bytes", told.len());
    }
}

#[test]
fn the_most_mounts_that_can_be_composed_can_be_recomposed() {
    let guest = guest();
    for link in BOTH {
        let compose = (0..63).fold(Compose::new(&guest).link(link), |compose, number| {
            compose.mount(format!("/{number}=kv").parse().unwrap())
        });
        let composed = compose.clone().build().unwrap();
        assert_eq!(fixed_mounts(&composed.bytes).len(), 64, "with the root");
        assert!(recompose(&composed.bytes).unwrap().is_same());
        assert!(compose.mount("/more=kv".parse().unwrap()).build().is_err());
    }
}

#[test]
fn parts_too_large_to_keep_are_an_error_of_composing() {
    // Sections too short to be looked up in a result are kept.
    let section = [&[0, 60, 1, b'n'][..], &[7; 58]].concat();
    let guest = [guest(), section.repeat((65 << 20) / section.len())].concat();
    let composed = Compose::new(&guest).build().unwrap();
    assert!(recompose(&composed.bytes).unwrap().is_same(), "there it is kept as it is");
    let linked = Compose::new(&guest).link(Link::Core).build();
    assert!(matches!(linked, Err(ComposeError::TooMuchToKeep { .. })), "{:?}", linked.map(|c| c.report));
}

#[test]
fn only_names_of_packages_can_be_shared() {
    let guest = guest();
    let share = |package: &str| Compose::new(&guest).share(package).build();
    for name in ["my:log", "peek", "a:b:c2", "wasi:filesystem"] {
        assert!(recompose(&share(name).unwrap().bytes).unwrap().is_same(), "{name}");
    }
    for name in [
        "",
        ":",
        "my:",
        "my:log\nlink=core",
        "my:log\nprovider=memory",
        "my:log@1.0.0",
        "my:log/log",
        "a b",
        "ä:b",
        "1:2",
    ] {
        let error = share(name).unwrap_err();
        assert!(matches!(&error, ComposeError::BadShare { package } if package == name), "{name:?}: {error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[test]
fn a_policy_is_stated_shown_and_recomposed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rules");
    std::fs::write(&file, "# Two.\nhide **/.env\nall tmp/{a,b}/**\n").unwrap();
    let text = "allow dir-read+file-read; hide **/.env; all tmp/{a,b}/**";
    let from_file =
        format!("/=kv,allow=dir-read+file-read,policy={}", file.display()).parse::<Mount>().unwrap();
    let policy = Policy::new(Rights::DIR_READ | Rights::FILE_READ);
    let policy = policy.hide("**/.env").unwrap().allow("tmp/{a,b}/**", Rights::ALL).unwrap();
    let built = "/=kv".parse::<Mount>().unwrap().policy(policy.clone());
    for link in BOTH {
        let composed = |mount: &Mount| {
            let host = "/work=host:shared,allow=none".parse().unwrap();
            Compose::new(&guest()).link(link).mount(mount.clone()).mount(host).build().unwrap()
        };
        let composed = [composed(&from_file), composed(&built)];
        assert!(composed[0].bytes == composed[1].bytes, "a file and a builder say the same");
        let bytes = &composed[0].bytes;
        assert!(recompose(bytes).unwrap().is_same());
        let mounts = fixed_mounts(bytes);
        assert_eq!(mounts[0].policy.as_ref(), Some(&policy));
        assert_eq!(mounts[1].policy, Some(Policy::new(Rights::NONE)));
        for shown in [inspect(bytes).unwrap().to_string(), composed[0].report.to_string()] {
            assert!(shown.contains(text), "{shown}");
            assert!(shown.contains("allow none"), "{shown}");
        }
        // Rules taken out are other options, and not what was composed.
        let without = with_text(bytes, |text| text.replace("rule=hide **/.env\n", ""));
        assert!(!recompose(&without).unwrap().is_same());
    }
}

#[test]
fn rules_that_do_not_fit_the_configuration_are_refused() {
    let mut policy = Policy::default();
    for number in 100..220 {
        policy = policy.hide(&format!("{number}{}", "a".repeat(250))).unwrap();
    }
    let mount = |text: &str| text.parse::<Mount>().unwrap().policy(policy.clone());
    let built = Compose::new(&guest()).mount(mount("/=kv")).mount(mount("/work=host:shared")).build();
    let error = built.unwrap_err().to_string();
    assert!(error.contains("write fewer rules"), "{error}");
}
