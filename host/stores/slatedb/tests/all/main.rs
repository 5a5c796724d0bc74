//! The store over memory, over a directory and over a server of S3's protocol.

mod objects;

mod buckets;
mod calls;
mod crash;
mod elsewhere;
mod engine;
mod hosts;
mod model;
mod opening;
mod requests;
mod s3;
mod streams;
mod taking_over;
