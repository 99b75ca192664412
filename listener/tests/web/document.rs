//! The OpenAPI document against the running server: everything that it promises is provoked, and each
//! answer is as its schema says, with no field more.

use std::collections::BTreeSet;
use std::path::PathBuf;

use fence_kdump_listener::fleet::event::Kind;
use fence_kdump_listener::web::{PastError, WebConfig, openapi};
use serde_json::{Value, json};

use super::client::{Answer, Follower, get, request};
use super::fake::Fake;

fn document() -> Value {
    serde_json::from_str(openapi()).unwrap()
}

/// `UPDATE=1` writes it.
#[test]
fn the_committed_document_is_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../dist/openapi.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, openapi()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == openapi(), "dist/openapi.json: run this test with UPDATE=1");
}

#[test]
fn it_is_an_openapi_document() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let operation = &operations["get"];
        assert!(ids.insert(operation["operationId"].to_string()), "{path}: an id used twice");
        for said in [&operation["summary"], &operation["tags"][0]] {
            assert!(said.as_str().is_some_and(|said| !said.is_empty()), "{path}");
        }
        assert_eq!(operations.as_object().unwrap().len(), 1, "{path}: nothing can be changed");
    }
    // All that it refers to is there, and nothing is there that is not referred to.
    let text = openapi();
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(text.contains(&format!("\"#/components/schemas/{name}\"")), "{name}");
    }
    for reference in text.split("\"$ref\": \"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

/// Forbids all fields that the document does not name.
fn strict(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.contains_key("properties") {
                object.insert("additionalProperties".into(), json!(false));
            }
            object.values_mut().for_each(strict);
        }
        Value::Array(values) => values.iter_mut().for_each(strict),
        _ => {}
    }
}

/// What was provoked so far.
struct Seen {
    document: Value,
    responses: BTreeSet<(String, String)>,
    /// Schemas and their fields, by the objects that had them.
    fields: BTreeSet<String>,
}

impl Seen {
    /// `answer` is one of those that the document has for `path`.
    fn check(&mut self, path: &str, answer: &Answer) {
        let status = answer.status.to_string();
        let said = &self.document["paths"][path]["get"]["responses"][&status];
        assert!(said.is_object(), "{path}: {status} is not in the document: {}", answer.body);
        let kind = answer.header("content-type").unwrap().split(';').next().unwrap().to_owned();
        let content = &said["content"][&kind];
        assert!(content.is_object(), "{path} {status}: {kind} is not in the document");
        if kind.ends_with("json") {
            self.check_value(&content["schema"].clone(), &answer.json());
        }
        self.responses.insert((path.to_owned(), status));
    }

    fn check_value(&mut self, schema: &Value, value: &Value) {
        let mut whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": self.document["components"],
        });
        strict(&mut whole);
        let validator = jsonschema::validator_for(&whole).unwrap();
        let errors: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{value}");
        self.note(schema, value);
    }

    fn note(&mut self, schema: &Value, value: &Value) {
        let reference = schema["$ref"].as_str();
        if let Some(pointer) = reference.and_then(|reference| reference.strip_prefix('#')) {
            let schema = self.document.pointer(pointer).unwrap().clone();
            for (field, value) in value.as_object().unwrap() {
                self.fields.insert(format!("{pointer}/properties/{field}"));
                self.note(&schema["properties"][field], value);
            }
        }
        for value in value.as_array().into_iter().flatten() {
            self.note(&schema["items"].clone(), value);
        }
        for one in schema["oneOf"].as_array().into_iter().flatten() {
            if one["$ref"].is_string() && value.is_object() {
                self.note(one, value);
            }
        }
    }
}

#[test]
fn every_promise_is_kept() {
    let mut seen =
        Seen { document: document(), responses: BTreeSet::new(), fields: BTreeSet::new() };
    let config = WebConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        connections: 8,
        ..WebConfig::default()
    };
    let mut fake = Fake::start_as(config).unwrap();
    let address = fake.address;
    fake.add(["alpha", "beta"]);
    fake.world().summary.troubles.push("The store is full.".to_owned());
    let mut followers: Vec<_> = (0..4).map(|_| Follower::start(address, None)).collect();
    for kind in Kind::ALL {
        fake.happen("alpha", kind);
    }
    let event = json!({"$ref": "#/components/schemas/Event"});
    for kind in Kind::ALL {
        let told = followers[0].event();
        assert_eq!(told["kind"], kind.name());
        seen.check_value(&event, &told);
    }
    let events = "/api/v1/events";
    seen.responses.insert((events.to_owned(), "200".to_owned()));
    seen.check(events, &get(address, events));
    drop(followers);

    for (path, asked) in [
        ("/api/v1/fleet", "/api/v1/fleet?state=heard&q=ALPHA&offset=0&limit=1000"),
        ("/api/v1/fleet", "/api/v1/fleet?state=nonsense"),
        ("/api/v1/nodes/{name}", "/api/v1/nodes/Alpha"),
        ("/api/v1/nodes/{name}", "/api/v1/nodes/nobody"),
        ("/api/v1/nodes/{name}", "/api/v1/nodes/%ff"),
        ("/api/v1/history", "/api/v1/history?limit=2&node=ALPHA"),
        ("/api/v1/history", "/api/v1/history?limit=1001"),
        ("/api/v1/history", "/api/v1/history?before=nothing"),
        ("/api/v1/counters", "/api/v1/counters"),
        ("/api/v1/openapi.json", "/api/v1/openapi.json"),
        ("/metrics", "/metrics"),
        ("/healthz", "/healthz"),
        ("/readyz", "/readyz"),
    ] {
        seen.check(path, &get(address, asked));
    }
    let accept = [("Accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")];
    seen.check("/metrics", &request(address, ("GET", "/metrics"), &accept));
    let paths: Vec<String> = seen.document["paths"].as_object().unwrap().keys().cloned().collect();
    for path in &paths {
        seen.check(path, &request(address, ("GET", path), &[("Host", "elsewhere.example")]));
    }
    fake.world().past_fails = Some(PastError::Failed("the disk is gone".to_owned()));
    seen.check("/api/v1/history", &get(address, "/api/v1/history"));
    fake.die();
    // What was known a moment ago may be shown for another second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    for (path, asked) in [
        ("/api/v1/fleet", "/api/v1/fleet"),
        ("/api/v1/nodes/{name}", "/api/v1/nodes/alpha"),
        ("/api/v1/counters", "/api/v1/counters"),
        ("/metrics", "/metrics"),
        ("/healthz", "/healthz"),
        ("/readyz", "/readyz"),
    ] {
        let answer = get(address, asked);
        assert_eq!(answer.status, 503);
        seen.check(path, &answer);
    }
    let (_files, config) = super::guard::with_token();
    let guarded = Fake::start_as(config).unwrap();
    for path in &paths {
        let answer = get(guarded.address, path);
        if !path.ends_with('z') {
            assert_eq!(answer.status, 401, "{path}");
            seen.check(path, &answer);
        }
    }

    let mut promised = BTreeSet::new();
    for (path, operations) in seen.document["paths"].as_object().unwrap() {
        for status in operations["get"]["responses"].as_object().unwrap().keys() {
            promised.insert((path.clone(), status.clone()));
        }
    }
    assert_eq!(promised, seen.responses, "promised, and provoked");
    let mut fields = BTreeSet::new();
    for (name, schema) in seen.document["components"]["schemas"].as_object().unwrap() {
        for field in schema["properties"].as_object().unwrap().keys() {
            fields.insert(format!("/components/schemas/{name}/properties/{field}"));
        }
    }
    assert_eq!(fields, seen.fields, "promised, and answered");
}
