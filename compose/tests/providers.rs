//! Claims about compositions with a provider inside.

use kvfs_compose::{
    Compose, ComposeError, ConfigError, Kind, Link, MAX_MEMORY_BYTES, MEMORY_PROVIDER, MIN_MEMORY_BYTES,
    Mode, Provider, configuration, inspect,
};

fn guest() -> Vec<u8> {
    kvfs_wit_guests::guest(kvfs_wit_guests::COMMAND, "0.2.9")
}

fn with_memory(size_bytes: Option<u64>) -> Result<kvfs_compose::Composed, ComposeError> {
    Compose::new(&guest()).volume("v").provider(Provider::Memory { size_bytes }).build()
}

#[test]
fn memory_needs_nothing_of_the_host() {
    let host = Compose::new(&guest()).build().unwrap().report.imports;
    let memory = with_memory(None).unwrap().report.imports;
    let mut expected: Vec<_> = host.into_iter().filter(|name| !name.starts_with("kvfs:")).collect();
    let mut found = memory.clone();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(inspect(MEMORY_PROVIDER).unwrap().imports, [""; 0]);
}

#[test]
fn the_size_is_fixed_in_the_result_beside_the_volume() {
    let composed = with_memory(Some(64 << 20)).unwrap();
    let text = configuration(&composed.bytes).unwrap();
    let lines: Vec<_> = text.lines().collect();
    for line in ["volume=v", "provider=memory", "size=67108864"] {
        assert!(lines.contains(&line), "{text}");
    }
    let Kind::Composed { config, .. } = inspect(&composed.bytes).unwrap().kind else { panic!() };
    assert_eq!(config, text);
    assert!(!configuration(&with_memory(None).unwrap().bytes).unwrap().contains("size="));
}

#[test]
fn the_mode_is_lazy_by_default_for_a_store_in_memory_without_a_size() {
    let mode = |compose: Compose<'_>| {
        let text = configuration(&compose.build().unwrap().bytes).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix("mode=")).map(str::to_owned)
    };
    let guest = guest();
    let memory = |size_bytes| Compose::new(&guest).provider(Provider::Memory { size_bytes });
    assert_eq!(mode(memory(None)).as_deref(), Some("lazy"));
    assert_eq!(mode(memory(None).mode(Mode::Close)).as_deref(), Some("close"));
    assert_eq!(mode(memory(Some(1 << 20))), None);
    assert_eq!(mode(Compose::new(&guest).provider(Provider::File { path: None, accept_loss: false })), None);
    assert_eq!(mode(Compose::new(&guest)), None);
}

#[test]
fn a_result_tells_where_its_store_is_and_what_it_takes_to_run_it() {
    let cases = [
        (Provider::Host, "the host's"),
        (Provider::Memory { size_bytes: None }, "memory"),
        (Provider::Memory { size_bytes: Some(1 << 20) }, "at most 1048576 bytes"),
        (Provider::File { path: None, accept_loss: false }, "--dir STATE::/kvfs"),
        (Provider::File { path: Some("/data".into()), accept_loss: false }, "--dir STATE::/data"),
        (Provider::Keyvalue { bucket: None }, "-S keyvalue"),
        (Provider::Keyvalue { bucket: Some("mine".into()) }, "`mine`"),
        (
            Provider::Http { server: "http://store:80".into(), token: "0123456789abcdef".parse().unwrap() },
            "server at http://store:80: run it with -S http",
        ),
        (
            Provider::Component(Provider::Memory { size_bytes: None }.to_component().unwrap().unwrap()),
            "memory",
        ),
    ];
    for (provider, expected) in cases {
        for link in [Link::Component, Link::Core] {
            let composed = Compose::new(&guest()).link(link).provider(provider.clone()).build().unwrap();
            let told = inspect(&composed.bytes).unwrap();
            assert!(
                told.store.as_ref().is_some_and(|store| store.contains(expected)),
                "{provider:?}: {told}"
            );
            assert!(!told.to_string().contains("provider="), "{told}");
            if !matches!(provider, Provider::Component(_)) {
                assert_eq!(Some(composed.report.store), told.store, "{provider:?}");
            }
        }
    }
}

#[test]
fn the_directory_of_the_store_is_not_mounted() {
    for (path, preopen) in [(None, "/kvfs"), (Some("/data"), "/data")] {
        let provider = || Provider::File { path: path.map(str::to_owned), accept_loss: false };
        let with =
            |mount: String| Compose::new(&guest()).provider(provider()).mount(mount.parse().unwrap()).build();
        let error = with(format!("/h=host:{preopen}")).unwrap_err().to_string();
        assert!(error.contains("mount at /h") && error.contains(preopen), "{error}");
        with(format!("/h=host:{preopen}-other")).unwrap();
    }
}

#[test]
fn sizes_out_of_range_are_refused() {
    for size_bytes in [0, MIN_MEMORY_BYTES - 1, MAX_MEMORY_BYTES + 1, u64::MAX] {
        let error = with_memory(Some(size_bytes)).unwrap_err();
        assert!(matches!(error, ComposeError::Config(ConfigError::MemorySize { .. })), "{error}");
    }
    for size_bytes in [MIN_MEMORY_BYTES, MAX_MEMORY_BYTES] {
        with_memory(Some(size_bytes)).unwrap();
    }
    assert_eq!(MAX_MEMORY_BYTES, kvfs_provider_memory::MAX_SIZE_BYTES, "the provider would take less");
}
