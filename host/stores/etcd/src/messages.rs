//! The messages of etcd's API that the store uses: a part of
//! [`rpc.proto`](https://github.com/etcd-io/etcd/blob/v3.4.0/etcdserver/etcdserverpb/rpc.proto).
//!
//! They are written out so that nobody needs protobuf's compiler to build this. Fields that are not
//! used are left out: a reader of protobuf skips what it does not know.

use prost::{Enumeration, Message, Oneof};

/// Asks for a key, or for a range if `range_end` is not empty.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) range_end: Vec<u8>,
    /// Most entries; 0 is no bound.
    #[prost(int64, tag = "3")]
    pub(crate) limit: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RangeResponse {
    /// In ascending order of keys.
    #[prost(message, repeated, tag = "2")]
    pub(crate) kvs: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
    #[prost(int64, tag = "3")]
    pub(crate) mod_revision: i64,
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PutRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DeleteRangeRequest {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) key: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RequestOp {
    #[prost(oneof = "Request", tags = "1, 2, 3")]
    pub(crate) request: Option<Request>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Request {
    #[prost(message, tag = "1")]
    Range(RangeRequest),
    #[prost(message, tag = "2")]
    Put(PutRequest),
    #[prost(message, tag = "3")]
    Delete(DeleteRangeRequest),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ResponseOp {
    #[prost(message, optional, tag = "1")]
    pub(crate) range: Option<RangeResponse>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(crate) enum CompareTarget {
    Version = 0,
    Create = 1,
    Mod = 2,
    Value = 3,
}

/// A condition. The result that is compared for is the default, equal.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Compare {
    #[prost(enumeration = "CompareTarget", tag = "2")]
    pub(crate) target: i32,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) key: Vec<u8>,
    #[prost(oneof = "Expected", tags = "5, 6, 7")]
    pub(crate) expected: Option<Expected>,
}

#[derive(Clone, PartialEq, Oneof)]
pub(crate) enum Expected {
    #[prost(int64, tag = "5")]
    CreateRevision(i64),
    #[prost(int64, tag = "6")]
    ModRevision(i64),
    #[prost(bytes, tag = "7")]
    Value(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TxnRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) compare: Vec<Compare>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) success: Vec<RequestOp>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) failure: Vec<RequestOp>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TxnResponse {
    #[prost(bool, tag = "2")]
    pub(crate) succeeded: bool,
    #[prost(message, repeated, tag = "3")]
    pub(crate) responses: Vec<ResponseOp>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AuthenticateRequest {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) password: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AuthenticateResponse {
    #[prost(string, tag = "2")]
    pub(crate) token: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StatusRequest {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StatusResponse {
    #[prost(string, tag = "2")]
    pub(crate) version: String,
}

impl RequestOp {
    pub(crate) fn range(key: Vec<u8>) -> Self {
        Self { request: Some(Request::Range(RangeRequest { key, ..Default::default() })) }
    }

    pub(crate) fn put(key: Vec<u8>, value: Vec<u8>) -> Self {
        Self { request: Some(Request::Put(PutRequest { key, value })) }
    }

    pub(crate) fn delete(key: Vec<u8>) -> Self {
        Self { request: Some(Request::Delete(DeleteRangeRequest { key })) }
    }
}

impl Compare {
    /// The key has this value.
    pub(crate) fn value(key: Vec<u8>, value: Vec<u8>) -> Self {
        Self { target: CompareTarget::Value.into(), key, expected: Some(Expected::Value(value)) }
    }

    /// The key is absent.
    pub(crate) fn absent(key: Vec<u8>) -> Self {
        Self { target: CompareTarget::Create.into(), key, expected: Some(Expected::CreateRevision(0)) }
    }

    /// The key was last changed at this revision.
    pub(crate) fn unchanged(key: Vec<u8>, revision: i64) -> Self {
        Self { target: CompareTarget::Mod.into(), key, expected: Some(Expected::ModRevision(revision)) }
    }
}

impl TxnResponse {
    /// Returns the entries that the answered requests found, one list for each request.
    pub(crate) fn found(self) -> Vec<Vec<KeyValue>> {
        self.responses.into_iter().map(|op| op.range.map(|range| range.kvs).unwrap_or_default()).collect()
    }
}
