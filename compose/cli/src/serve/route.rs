//! From requests to pages.

use super::answer::{Answer, Refused, response};
use super::guard::Guard;
use super::query::Query;
use super::stores::{Moment, Stores, refuse_files};
use super::{changed_page, diff_page, directory_page, file_page, raw, volumes_page};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use kvfs::{Follow, Kind};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Most pages that are made at one time: each may hold a large file. Further ones wait.
pub(super) const MAX_PAGES: usize = 4;

/// What all requests share.
pub(super) struct Site {
    guard: Guard,
    stores: Stores,
    pages: Arc<Semaphore>,
}

impl Site {
    pub(super) fn new(guard: Guard, stores: Stores) -> Arc<Self> {
        Arc::new(Self { guard, stores, pages: Arc::new(Semaphore::new(MAX_PAGES)) })
    }
}

pub(super) async fn respond(request: Request<Incoming>, site: Arc<Site>) -> Response<Full<Bytes>> {
    let (page, query) = match site.guard.admit(&request) {
        Ok((page, query)) => (page.to_owned(), Query::parse(query)),
        // Who has no token is not told what is shown here.
        Err(refused) => return response(refused.page(), ""),
    };
    let store = site.stores.url();
    let Ok(place) = site.pages.clone().acquire_owned().await else {
        let ends = Refused::new(StatusCode::SERVICE_UNAVAILABLE, "the server ends");
        return response(ends.page(), &store);
    };
    let made = tokio::task::spawn_blocking(move || {
        let made = make(&site.stores, &page, &query).unwrap_or_else(Refused::page);
        drop(place);
        made
    });
    let broken =
        || Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "the page is broken; `kvfs serve` says why");
    response(made.await.unwrap_or_else(|_| broken().page()), &store)
}

fn make(stores: &Stores, page: &str, query: &Query) -> Result<Answer, Refused> {
    match page {
        "style.css" => Ok(Answer::Style),
        "" => volumes_page::page(&stores.now()?),
        "files" => files(&stores.now()?, query),
        "diff" => diff_page::page(&stores.now()?, query),
        "changed" => changed_page::page(&stores.now()?, query),
        "raw" => {
            let path = query.path("path")?;
            raw::raw(&mut stores.now()?.files(query.need("volume")?)?, &path, query)
        }
        _ => Err(Refused::new(StatusCode::NOT_FOUND, "there is no such page")),
    }
}

fn files(moment: &Moment<'_>, query: &Query) -> Result<Answer, Refused> {
    let (volume, path) = (query.need("volume")?, query.path("path")?);
    let mut files = moment.files(volume)?;
    let stat = files.stat(&path, Follow::No).map_err(|error| refuse_files(&error))?;
    match stat.kind {
        Kind::Directory => directory_page::page(&mut files, volume, &path, query),
        _ => file_page::page(&mut files, volume, &path, &stat, query),
    }
}
