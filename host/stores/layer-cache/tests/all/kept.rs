//! What a view keeps, call by call: nothing that is damaged, and nothing of a layer that may be another
//! one by now.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use kvfs::frozen::{self, Record};
use kvfs::volumes::{self, Taken};
use kvfs_contract::{AsyncKvStore, Durability, Entry, Guard, Limits, Mutation, StoreError, block_on};
use kvfs_layer_cache::{LayerCache, LayerView};

use crate::rounds::{Ticks, open, write};
use crate::server::Server;
use crate::viewed::Viewed;

/// A server whose answers to gets arrive late: they are those of the moment of the question.
#[derive(Clone)]
struct Late {
    server: Server,
    is_held: Arc<AtomicBool>,
}

impl AsyncKvStore for Late {
    type Bytes = Bytes;

    async fn limits(&self) -> Result<Limits, StoreError> {
        self.server.limits().await
    }

    async fn get<'a>(&'a self, keys: &'a [&'a [u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let answer = self.server.get(keys).await;
        let is_held = |_: &mut Context<'_>| match self.is_held.load(Ordering::SeqCst) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        };
        poll_fn(is_held).await;
        answer
    }

    async fn scan<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
        max_entries: u32,
        max_bytes: u32,
    ) -> Result<Vec<Entry<Bytes>>, StoreError> {
        self.server.scan(start, end, max_entries, max_bytes).await
    }

    async fn apply<'a>(
        &'a self,
        guards: &'a [Guard<&'a [u8]>],
        mutations: &'a [Mutation<&'a [u8]>],
        level: Durability,
    ) -> Result<(), StoreError> {
        self.server.apply(guards, mutations, level).await
    }
}

type Stored = (Vec<u8>, Bytes);

/// A store with a frozen layer, and another one with another layer of the same name.
struct Scene {
    late: Late,
    cache: LayerCache,
    here: Vec<Stored>,
    there: Vec<Stored>,
    layer: Vec<u8>,
    /// Records of the layer that differ between the two.
    keys: Vec<Vec<u8>>,
}

fn store_with(text: &[u8], clock: &Ticks) -> Vec<Stored> {
    let server = Server::new(Limits::standard(true));
    let mut store = Viewed::new(&server, &LayerCache::new(1 << 20));
    let mut volume = open(store.clone(), clock, "main");
    write(&mut volume, "file", text);
    write(&mut volume, "other", text);
    drop(volume);
    volumes::fork(&mut store, &mut clock.clone(), "main", "fork", Taken::ReadOnly).unwrap();
    server.copy()
}

fn value<'c>(copy: &'c [Stored], key: &[u8]) -> Option<&'c Bytes> {
    copy.iter().find(|(other, _)| other == key).map(|(_, value)| value)
}

impl Scene {
    fn new() -> Self {
        let (here, there) =
            (store_with(&[1; 9000], &Ticks::default()), store_with(&[2; 9000], &Ticks::after(1 << 30)));
        let stamp = |copy: &[Stored], key: &[u8]| frozen::stamp(key, value(copy, key)?);
        let layer = here.iter().find_map(|(key, _)| match frozen::record(key) {
            Record::Header(layer) if stamp(&here, key).is_some() => Some(layer.to_vec()),
            _ => None,
        });
        let layer = layer.unwrap();
        let header = frozen::header_key(&layer);
        let (one, other) = (stamp(&here, &header).unwrap(), stamp(&there, &header).unwrap());
        assert_ne!(one, other, "the layers must be different ones");
        let differs = |key: &&Stored| {
            frozen::record(&key.0) == Record::InLayer(&layer)
                && value(&there, &key.0).is_some_and(|there| *there != key.1)
        };
        let keys: Vec<Vec<u8>> = here.iter().filter(differs).map(|(key, _)| key.clone()).collect();
        assert!(keys.len() >= 2, "{keys:?}");
        let server = Server::new(Limits::standard(true));
        server.put_back(&here);
        let late = Late { server, is_held: Arc::default() };
        Self { late, cache: LayerCache::new(1 << 20), here, there, layer, keys }
    }

    /// A view of the server, which knows nothing but what is in the cache.
    fn view(&self) -> LayerView<Late> {
        LayerView::new(self.late.clone(), self.cache.clone(), "server")
    }

    fn hold(&self, is_held: bool) {
        self.late.is_held.store(is_held, Ordering::SeqCst);
    }

    fn server(&self) -> &Server {
        &self.late.server
    }

    /// Lets the server have a record with a bit that has flipped, and returns it.
    fn damage(&self, key: &[u8]) -> Bytes {
        let mut bytes = value(&self.here, key).unwrap().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        let damaged = Bytes::from(bytes);
        self.server().look().entries.set(key, Some(damaged.clone()));
        damaged
    }

    /// The records of the layer in a copy.
    fn page(&self, copy: &[Stored]) -> Vec<Entry<Bytes>> {
        let in_layer = copy.iter().filter(|(key, _)| frozen::record(key) == Record::InLayer(&self.layer));
        in_layer.map(|(key, value)| Entry { key: key.clone().into(), value: value.clone() }).collect()
    }

    /// Removes the layer, as the collection of garbage does.
    fn remove_layer(&self, view: &LayerView<Late>) {
        let header = frozen::header_key(&self.layer);
        let page = self.page(&self.here);
        let keys = page.iter().map(|entry| &entry.key[..]).chain([&header[..]]);
        let mutations: Vec<Mutation<&[u8]>> = keys.map(|key| Mutation::Delete { key }).collect();
        block_on(view.apply(&[], &mutations, Durability::Durable)).unwrap();
    }

    fn scan(&self, view: &LayerView<Late>) -> Vec<Entry<Bytes>> {
        let start = self.page(&self.here)[0].key.clone();
        let end = [&self.layer[..], &[0xff]].concat();
        block_on(view.scan(&start, &end, 1000, 1 << 20)).unwrap()
    }

    fn get(&self, view: &LayerView<Late>, key: &[u8]) -> Option<Bytes> {
        block_on(view.get(&[key])).unwrap().remove(0)
    }

    fn sound(&self, key: &[u8]) -> Option<Bytes> {
        value(&self.here, key).cloned()
    }
}

/// Goes on with a call that was begun.
fn poll<T>(call: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    call.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_damaged_record_is_answered_as_it_is_and_not_kept() {
    let scene = Scene::new();
    let (view, key) = (scene.view(), &scene.keys[0]);
    let damaged = scene.damage(key);
    assert_eq!(scene.get(&view, key), Some(damaged));
    assert_eq!(scene.cache.counts().kept, 0);
    scene.server().put_back(&scene.here);
    assert_eq!(scene.get(&view, key), scene.sound(key));
    // This one is.
    scene.server().take_calls();
    assert_eq!(scene.get(&view, key), scene.sound(key));
    assert_eq!(scene.server().take_calls().gets, 0);
}

#[test]
fn a_page_with_a_damaged_record_is_not_kept() {
    let scene = Scene::new();
    let view = scene.view();
    let page = scene.page(&scene.here);
    // The layer is known to be frozen.
    scene.get(&view, &scene.keys[0]);
    scene.damage(&scene.keys[0]);
    assert_ne!(scene.scan(&view), page);
    scene.server().put_back(&scene.here);
    scene.get(&view, &scene.keys[1]);
    assert_eq!(scene.scan(&view), page);
    // This one is kept, once its layer's header was read again.
    scene.get(&view, &page.last().unwrap().key);
    scene.get(&view, b"\x01xL-none");
    scene.server().take_calls();
    assert_eq!(scene.scan(&view), page);
    assert_eq!(scene.server().take_calls().scans, 0);
}

#[test]
fn a_page_of_another_layer_of_the_same_name_is_not_kept_as_that_of_the_first() {
    for asks_again in [false, true] {
        let scene = Scene::new();
        let view = scene.view();
        scene.get(&view, &scene.keys[0]);
        // Another host puts a copy of the store back, where the name is another layer's.
        scene.server().put_back(&scene.there);
        assert_eq!(scene.scan(&view), scene.page(&scene.there));
        if asks_again {
            scene.get(&view, &scene.keys[1]);
        }
        scene.server().put_back(&scene.here);
        let later = scene.view();
        assert_eq!(scene.get(&later, &scene.keys[0]), scene.sound(&scene.keys[0]));
        assert_eq!(scene.scan(&later), scene.page(&scene.here), "asked again: {asks_again}");
    }
}

#[test]
fn a_header_that_was_read_before_a_page_does_not_vouch_for_it() {
    let scene = Scene::new();
    let view = scene.view();
    scene.get(&view, &scene.keys[0]);
    let keys = [&scene.keys[1][..]];
    scene.hold(true);
    let mut reading = pin!(view.get(&keys));
    assert!(poll(reading.as_mut()).is_pending());
    scene.server().put_back(&scene.there);
    assert_eq!(scene.scan(&view), scene.page(&scene.there));
    scene.hold(false);
    let Poll::Ready(read) = poll(reading.as_mut()) else { panic!("it is not held") };
    assert_eq!(read.unwrap(), [scene.sound(&scene.keys[1])]);
    scene.server().put_back(&scene.here);
    let later = scene.view();
    scene.get(&later, &scene.keys[0]);
    assert_eq!(scene.scan(&later), scene.page(&scene.here));
}

#[test]
fn a_layer_that_the_view_removes_is_gone_at_once() {
    let scene = Scene::new();
    let (view, key) = (scene.view(), &scene.keys[0]);
    for _ in 0..2 {
        assert_eq!(scene.get(&view, key), scene.sound(key));
    }
    assert!(scene.cache.counts().hits > 0);
    scene.remove_layer(&view);
    assert_eq!(scene.get(&view, key), None);
}

#[test]
fn a_header_that_was_read_before_its_layer_was_removed_says_nothing_after() {
    let scene = Scene::new();
    let (view, key) = (scene.view(), &scene.keys[0]);
    let keys = [&key[..]];
    scene.hold(true);
    let mut reading = pin!(view.get(&keys));
    assert!(poll(reading.as_mut()).is_pending());
    scene.remove_layer(&view);
    scene.hold(false);
    let Poll::Ready(read) = poll(reading.as_mut()) else { panic!("it is not held") };
    assert_eq!(read.unwrap(), [scene.sound(key)]);
    assert_eq!(scene.get(&view, key), None);
}
