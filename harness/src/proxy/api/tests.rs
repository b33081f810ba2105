use serde_json::{Value, json};

use super::*;

fn ask(registry: &Registry, method: &str, target: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = registry.answer(method, target, body.as_bytes());
    let value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
    (answer.status, value)
}

fn error(status: u16, words: &str) -> (u16, Value) {
    (status, json!({ "error": words, "status": status }))
}

const NULL: Value = Value::Null;

/// A registry with the proxy `redis`, and where it listens.
fn with_redis() -> (Registry, String) {
    let registry = Registry::new(1);
    let wish = json!({ "name": "redis", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:6379" });
    let (status, proxy) = ask(&registry, "POST", "/proxies", &wish);
    assert_eq!(status, 201, "{proxy}");
    let listen = proxy["listen"].as_str().unwrap().to_owned();
    assert!(
        listen.starts_with("127.0.0.1:") && !listen.ends_with(":0"),
        "{listen}"
    );
    (registry, listen)
}

#[test]
fn proxies_are_created_shown_changed_and_removed() {
    let (registry, listen) = with_redis();
    let shown = json!({
        "name": "redis", "listen": listen, "upstream": "127.0.0.1:6379", "enabled": true, "toxics": []
    });
    assert_eq!(
        ask(&registry, "GET", "/proxies/redis", &NULL),
        (200, shown.clone())
    );
    assert_eq!(
        ask(&registry, "GET", "/proxies", &NULL),
        (200, json!({ "redis": shown }))
    );
    let (status, proxy) = ask(&registry, "POST", "/proxies/redis", &json!({ "enabled": false }));
    assert_eq!((status, &proxy["enabled"]), (200, &json!(false)));
    // The Go client sends all fields, toxics included.
    let change = json!({
        "name": "redis", "listen": listen, "upstream": "127.0.0.1:6380", "enabled": true, "toxics": null
    });
    let (status, proxy) = ask(&registry, "PATCH", "/proxies/redis", &change);
    assert_eq!((status, &proxy["upstream"]), (200, &json!("127.0.0.1:6380")));
    assert_eq!(proxy["listen"], json!(listen));
    assert_eq!(ask(&registry, "DELETE", "/proxies/redis", &NULL), (204, NULL));
    assert_eq!(
        ask(&registry, "GET", "/proxies/redis", &NULL),
        error(404, "proxy not found")
    );
    assert_eq!(ask(&registry, "GET", "/proxies", &NULL), (200, json!({})));
}

#[test]
fn toxics_are_added_shown_changed_and_removed() {
    let (registry, _) = with_redis();
    let toxics = "/proxies/redis/toxics";
    let wish = json!({ "type": "latency", "attributes": { "latency": 1000 } });
    let latency = json!({
        "attributes": { "latency": 1000, "jitter": 0 }, "name": "latency_downstream", "type": "latency",
        "stream": "downstream", "toxicity": 1.0
    });
    assert_eq!(ask(&registry, "POST", toxics, &wish), (200, latency.clone()));
    assert_eq!(
        ask(&registry, "POST", toxics, &wish),
        error(409, "toxic already exists")
    );
    let wish = json!({ "name": "a b", "type": "slow_close", "stream": "upstream", "toxicity": 0.5 });
    assert_eq!(ask(&registry, "POST", toxics, &wish).0, 200);
    let names = |value: &Value| -> Vec<String> {
        let toxics = value.as_array().unwrap();
        toxics
            .iter()
            .map(|toxic| toxic["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names(&ask(&registry, "GET", toxics, &NULL).1),
        ["a b", "latency_downstream"]
    );
    assert_eq!(
        ask(&registry, "GET", "/proxies/redis/toxics/a%20b", &NULL).1["toxicity"],
        json!(0.5)
    );
    // What an update does not say stays.
    let one = "/proxies/redis/toxics/latency_downstream";
    let (status, changed) = ask(&registry, "POST", one, &json!({ "attributes": { "jitter": 10 } }));
    assert_eq!(status, 200);
    assert_eq!(changed["attributes"], json!({ "latency": 1000, "jitter": 10 }));
    assert_eq!(ask(&registry, "GET", one, &NULL), (200, changed));
    assert_eq!(ask(&registry, "DELETE", one, &NULL), (204, NULL));
    assert_eq!(
        ask(&registry, "DELETE", one, &NULL),
        error(404, "toxic not found")
    );
    assert_eq!(names(&ask(&registry, "GET", toxics, &NULL).1), ["a b"]);
}

#[test]
fn what_cannot_be_is_refused_in_toxiproxys_words() {
    let (registry, listen) = with_redis();
    let toxics = "/proxies/redis/toxics";
    let post = |target: &str, body: Value| ask(&registry, "POST", target, &body);
    assert_eq!(
        post("/proxies", json!({ "upstream": "x" })),
        error(400, "missing required field: name")
    );
    assert_eq!(
        post("/proxies", json!({ "name": "x" })),
        error(400, "missing required field: upstream")
    );
    let twice = json!({ "name": "redis", "upstream": "127.0.0.1:1" });
    assert_eq!(post("/proxies", twice), error(409, "proxy already exists"));
    let taken = json!({ "name": "other", "listen": listen, "upstream": "127.0.0.1:1" });
    assert_eq!(post("/proxies", taken).0, 500);
    assert_eq!(post("/proxies/none", json!({})), error(404, "proxy not found"));
    assert_eq!(
        post(toxics, json!({ "type": "nope" })),
        error(400, "invalid toxic type")
    );
    assert_eq!(
        post(toxics, json!({ "type": "latency", "stream": "sideways" })),
        error(400, "stream was invalid, can be either upstream or downstream")
    );
    for body in [
        json!("latency"),
        json!({ "type": "latency", "attributes": { "latency": -1 } }),
        json!({ "type": "latency", "attributes": { "latncy": 1 } }),
        json!({ "type": "latency", "toxicity": 1.5 }),
        json!({ "type": "refuse", "first": 0 }),
        json!({ "type": "slicer" }),
        json!({ "type": "sql_error", "attributes": { "sqlstate": "4000" } }),
        json!({ "type": "http_error", "attributes": { "status": 100 } }),
        json!({ "type": "throttle", "attributes": { "rate": 0 } }),
    ] {
        let (status, answer) = post(toxics, body.clone());
        assert_eq!(status, 400, "{body}");
        let words = answer["error"].as_str().unwrap();
        assert!(words.starts_with("bad request body: "), "{words}");
    }
    assert_eq!(registry.answer("POST", "/proxies", b"{").status, 400);
    assert_eq!(
        ask(&registry, "PUT", "/proxies", &NULL),
        error(405, "method not allowed")
    );
    assert_eq!(ask(&registry, "GET", "/", &NULL), error(404, "page not found"));
    assert_eq!(
        ask(&registry, "GET", "/proxies/redis/else", &NULL),
        error(404, "page not found")
    );
}

#[test]
fn populating_creates_replaces_and_leaves_alone() {
    let (registry, listen) = with_redis();
    let toxic = json!({ "type": "latency" });
    assert_eq!(ask(&registry, "POST", "/proxies/redis/toxics", &toxic).0, 200);
    let wish = json!([
        { "name": "redis", "listen": listen, "upstream": "127.0.0.1:6379" },
        { "name": "mysql", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:3306", "enabled": false },
    ]);
    let (status, answer) = ask(&registry, "POST", "/populate", &wish);
    assert_eq!(status, 201);
    assert_eq!(
        answer["proxies"][0]["toxics"].as_array().unwrap().len(),
        1,
        "left alone"
    );
    assert_eq!(answer["proxies"][1]["enabled"], json!(false));
    let moved = json!([{ "name": "redis", "listen": listen, "upstream": "127.0.0.1:6380" }]);
    let (status, answer) = ask(&registry, "POST", "/populate", &moved);
    assert_eq!(status, 201);
    assert_eq!(
        answer["proxies"][0]["toxics"],
        json!([]),
        "set up anew, on the same port"
    );
    let nameless = json!([{ "name": "ok", "upstream": "x:1" }, { "upstream": "x:1" }]);
    let refused = error(400, "missing required field: name at proxy 2");
    assert_eq!(ask(&registry, "POST", "/populate", &nameless), refused);
    assert_eq!(
        ask(&registry, "GET", "/proxies/ok", &NULL).0,
        404,
        "nothing is done by half"
    );
    // What came before the one that fails stands, and is listed.
    let half = json!([
        { "name": "good", "listen": "127.0.0.1:0", "upstream": "x:1" },
        { "name": "bad", "listen": listen, "upstream": "x:1" },
    ]);
    let (status, answer) = ask(&registry, "POST", "/populate", &half);
    assert_eq!((status, &answer["status"]), (500, &json!(500)));
    assert_eq!(answer["proxies"][0]["name"], json!("good"));
}

#[test]
fn a_reset_enables_all_and_removes_all_toxics() {
    let (registry, _) = with_redis();
    for toxic in ["refuse", "hang", "latency"] {
        let (status, _) = ask(
            &registry,
            "POST",
            "/proxies/redis/toxics",
            &json!({ "type": toxic }),
        );
        assert_eq!(status, 200);
    }
    assert_eq!(
        ask(&registry, "POST", "/proxies/redis", &json!({ "enabled": false })).0,
        200
    );
    assert_eq!(ask(&registry, "POST", "/reset", &NULL), (204, NULL));
    let (_, proxy) = ask(&registry, "GET", "/proxies/redis", &NULL);
    assert_eq!((&proxy["enabled"], &proxy["toxics"]), (&json!(true), &json!([])));
    let (status, version) = ask(&registry, "GET", "/version", &NULL);
    assert_eq!(status, 200);
    assert!(version["version"].is_string());
}
