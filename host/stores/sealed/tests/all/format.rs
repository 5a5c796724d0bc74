//! The bytes in the store are those that the README states: they are read here by its words alone.

use crate::disk::{CHEAP, Disk, entry, open, open_with};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{Key, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use kvfs_sealed_store::UserKey;
use kvfs_store_rig::Calls;
use sha2::{Digest, Sha256};

/// Opens what was sealed with `key` for `place`.
fn unseal(key: &[u8; 32], place: &[u8], sealed: &[u8]) -> Vec<u8> {
    let length = sealed.len();
    assert_eq!(sealed[0], 1, "the form");
    let nonce = XNonce::from(<[u8; 24]>::try_from(&sealed[1..25]).unwrap());
    let tag = Tag::from(<[u8; 16]>::try_from(&sealed[length - 16..]).unwrap());
    let mut value = sealed[25..length - 16].to_vec();
    XChaCha20Poly1305::new(&Key::from(*key))
        .decrypt_inout_detached(&nonce, place, value.as_mut_slice().into(), &tag)
        .unwrap();
    value
}

fn derive(salt: Option<&[u8]>, secret: &[u8], info: &str) -> [u8; 32] {
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(salt, secret).expand(info.as_bytes(), &mut key).unwrap();
    key
}

#[test]
fn every_byte_is_where_the_readme_says() {
    let disk = Disk::empty();
    let (superblock, name) = (b"\x01v\0".to_vec(), entry(1, "name"));
    open(&disk).set(&[], &[(&superblock, Some(b"value")), (&name, Some(b"dentry"))], false).unwrap();
    let below = disk.entries();
    assert_eq!(below.len(), 4);

    let header = &below[&b"\0kvfs-sealed"[..]];
    assert_eq!(header.len(), 121);
    assert_eq!(header[..12], *b"\x6b\x76\x66\x73\x00\x73\x65\x01\x01\x01\0\0");
    assert_eq!(header[12..24], [0; 12]);
    assert_eq!(header[113..], Sha256::digest(&header[..113])[..8]);
    let wrapping = derive(Some(&header[24..40]), &[1; 32], "kvfs sealed key file 1");
    let place = [b"\0kvfs-sealed", &header[..40]].concat();
    let store_key: [u8; 32] = unseal(&wrapping, &place, &header[40..113]).try_into().unwrap();

    let prefix_header = &below[&b"\x01\x01v"[..]];
    assert_eq!(prefix_header.len(), 73);
    let prefix_key: [u8; 32] = unseal(&store_key, b"\x01\x01v", prefix_header).try_into().unwrap();
    let values = derive(None, &prefix_key, "kvfs sealed values 1");
    let names = derive(None, &prefix_key, "kvfs sealed names 1");

    let open_key = [&b"\x02"[..], &superblock].concat();
    assert_eq!(unseal(&values, &open_key, &below[&open_key]), b"value");
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&names).unwrap().chain_update(&name).finalize();
    let hidden = [&b"\x02"[..], &name[..11], &mac.into_bytes()[..16]].concat();
    assert_eq!(unseal(&values, &hidden, &below[&hidden]), b"\0\x04namedentry");
}

#[test]
fn a_passphrase_is_stretched_as_the_readme_says() {
    use argon2::{Algorithm, Argon2, Params, Version};
    let disk = Disk::empty();
    open_with(&disk, &UserKey::from_passphrase(b"phrase".to_vec()).unwrap()).unwrap();
    let header = disk.entries().remove(&b"\0kvfs-sealed"[..]).unwrap();
    assert_eq!(header[9], 2);
    assert_eq!(header[12..24], *b"\0\0\0\x08\0\0\0\x01\0\0\0\x01", "KiB, passes, lanes");
    let mut wrapping = [0; 32];
    let params = Params::new(CHEAP.memory_kib, CHEAP.passes, CHEAP.lanes, Some(32)).unwrap();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(b"phrase", &header[24..40], &mut wrapping)
        .unwrap();
    let place = [b"\0kvfs-sealed", &header[..40]].concat();
    assert_eq!(unseal(&wrapping, &place, &header[40..113]).len(), 32);
}
