//! HTTP archives (HAR 1.2): one `http_request` per entry, one `page_load` per page.
//!
//! Of an URL the scheme, the host and the path are kept. The values of a query, a fragment and a
//! user with a password may be secrets and are not; headers, cookies and bodies are not read at
//! all. A call without an answer (status 0 or -1) has no `status_code`, and `error` where the file
//! says why.
//!
//! The file does not know of tests. Calls belong to their page: the test is the title of the page,
//! or its id, or `har`.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::MapAccess;

use super::json::{Members, Message, Object, Root, Text, Whole, Word, each, skip};
use super::report::{Record, Report, Step};
use super::url::Url;
use crate::logging::redact;
use crate::profiling::event::{EventType, Millis};

/// The root object.
#[derive(Default)]
pub(super) struct Har {
    seen_entries: bool,
    /// Titles by id.
    pages: HashMap<String, String>,
}

impl Root for Har {
    const FRAMEWORK: &'static str = "har";

    fn member<'de, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        map: &mut A,
        report: &mut Report,
    ) -> Result<(), A::Error> {
        match key {
            "log" => map.next_value_seed(Object(&mut Log { har: self, report })),
            _ => skip(map),
        }
    }

    fn finish(self, report: &mut Report) -> Result<(), &'static str> {
        if !self.seen_entries {
            return Err("log.entries");
        }
        for record in &mut report.records {
            if let Record::Loose { test_id, .. } = record
                && let Some(title) = self.pages.get(test_id)
            {
                test_id.clone_from(title);
            }
        }
        if report.records.is_empty() {
            report.warn("the archive has no call in it");
        }
        Ok(())
    }
}

struct Log<'r> {
    har: &'r mut Har,
    report: &'r mut Report,
}

impl Members for Log<'_> {
    const EXPECTED: &'static str = "the object `log`";

    fn object<'de, A: MapAccess<'de>>(&mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Word(key)) = map.next_key::<Word<'_>>()? {
            match &*key {
                "pages" => map.next_value_seed(each(|found| page(found, self.har, self.report)))?,
                "entries" => {
                    self.har.seen_entries = true;
                    map.next_value_seed(each(|entry| one(entry, self.report)))?;
                }
                _ => skip(&mut map)?,
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    id: Text,
    title: Option<Text>,
    started_date_time: Option<Text>,
    page_timings: Option<PageTimings>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageTimings {
    on_content_load: Option<f64>,
    on_load: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'t> {
    pageref: Option<Text>,
    #[serde(borrow)]
    started_date_time: Option<Word<'t>>,
    time: Option<f64>,
    request: Request<'t>,
    response: Option<Response>,
    timings: Option<Timings>,
    #[serde(rename = "_resourceType")]
    resource_type: Option<Text>,
}

#[derive(Deserialize)]
struct Request<'t> {
    method: Text,
    #[serde(borrow)]
    url: Word<'t>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(default)]
    status: Whole,
    content: Option<Content>,
    #[serde(default)]
    body_size: Whole,
    #[serde(default, rename = "_transferSize")]
    transfer_size: Whole,
    #[serde(rename = "_failureText")]
    failure_text: Option<Message>,
    #[serde(rename = "_error")]
    error: Option<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    mime_type: Option<Text>,
}

#[derive(Deserialize)]
struct Timings {
    wait: Option<f64>,
}

fn page(found: Page, har: &mut Har, report: &mut Report) {
    let title = found.title.map(|title| title.0).filter(|title| !title.is_empty());
    // Chrome's titles are addresses.
    let title = title.map(|title| match Url::parse(&title) {
        Some(url) => url.without_query(),
        None => redact::text(&title).into_owned(),
    });
    let name = title.clone().unwrap_or_else(|| found.id.0.clone());
    let mut step = Step::new(EventType::PageLoad, title);
    step.at = found.started_date_time.and_then(|time| report.time(&time.0));
    if let Some(timings) = found.page_timings {
        step.duration = report.millis(timings.on_load, &name);
        if let Some(content) = report.millis(timings.on_content_load, &name) {
            step.put("content_load_ms", content.get());
        }
    }
    report.loose(found.id.0.clone(), step);
    har.pages.insert(found.id.0, name);
}

fn one(entry: Entry<'_>, report: &mut Report) {
    let page = entry.pageref.map(|page| page.0).filter(|page| !page.is_empty());
    let url = Url::parse(&entry.request.url.0);
    let mut step = Step::new(EventType::HttpRequest, None);
    step.at = entry.started_date_time.and_then(|time| report.time(&time.0));
    step.duration = report.millis(entry.time, &entry.request.method.0);
    let mut put = |name: &'static str, value: serde_json::Value| step.put(name, value);
    put("method", entry.request.method.0.into());
    match url {
        Some(url) => {
            put("endpoint", url.path.into());
            put("host", url.host.into());
            put("url", url.without_query().into());
        }
        // `data:` and the like are not calls to anywhere, and may be long.
        None => {
            let scheme = entry.request.url.0.split(':').next().unwrap_or_default();
            put(
                "endpoint",
                scheme.chars().take(MAX_SCHEME).collect::<String>().into(),
            );
        }
    }
    let (mut failed, mut bytes) = (true, None);
    if let Some(response) = entry.response {
        if let Some(status) = response.status.0.filter(|status| *status > 0) {
            failed = status >= 400;
            put("status_code", status.into());
        }
        // -1 is what is not known.
        bytes = response.transfer_size.0.or(response.body_size.0);
        if let Some(error) = response.failure_text.or(response.error).and_then(|error| error.0) {
            put("error", redact::text(&error).into());
        }
        if let Some(kind) = response.content.and_then(|content| content.mime_type) {
            put("content_type", kind.0.into());
        }
    }
    put("failed", failed.into());
    if let Some(bytes) = bytes {
        put("bytes", bytes.into());
    }
    if let Some(kind) = entry.resource_type {
        put("resource_type", kind.0.into());
    }
    let wait = entry.timings.and_then(|timings| timings.wait);
    // The time to the first byte; -1 where there was none.
    if let Some(wait) = wait.and_then(|wait| Millis::new(wait).ok()) {
        put("wait_ms", wait.get().into());
    }
    report.loose(page.unwrap_or_else(|| "har".to_owned()), step);
}

/// The longest name of a scheme that is kept.
const MAX_SCHEME: usize = 16;
