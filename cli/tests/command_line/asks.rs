//! Commands that ask a running Sidegate to decide, or how it is.

use crate::{run::run, running::Dev};

#[test]
fn a_running_sidegate_decides_as_its_file_does() {
    let dev = Dev::start();
    for (target, who, outcome, code) in [
        ("DELETE /books/b1", &["--as", "rita"][..], "allow", 0),
        ("DELETE /books/b2", &["--as", "rita"], "deny", 10),
        (
            "DELETE /books/b2",
            &[
                "--session",
                "{\"subject\":\"x\",\"claims\":{\"role\":\"admin\"}}",
            ],
            "allow",
            0,
        ),
        ("DELETE /books/b1", &[], "unauthenticated", 11),
    ] {
        let args = [&["can", target], who].concat();
        let running = dev.ask(&args);
        let file = run(
            dev.dir.path(),
            &[&args[..], &["--config", "sidegate.yaml", "-o", "json"]].concat(),
        );
        let (running_answer, file_answer) = (running.json(), file.json());
        assert_eq!(
            (running.code, running_answer["outcome"].as_str()),
            (code, Some(outcome)),
            "{args:?} {running:?}"
        );
        for part in ["outcome", "operation", "reason", "requirements"] {
            let of_file = file_answer[part]
                .to_string()
                .replace("sidegate.yaml", "")
                .replace("apps/", "");
            let of_server = running_answer[part]
                .to_string()
                .replace(dev.ready["dir"].as_str().unwrap(), "")
                .replace("/apps/", "");
            assert_eq!(of_file, of_server, "{args:?}: {part}");
        }
    }
}

#[test]
fn a_token_is_judged_by_the_running_sidegate() {
    let dev = Dev::start();
    let made = dev.ask(&["session", "create", "--subject", "rita"]).json();
    std::fs::write(dev.path("rita.token"), made["token"].as_str().unwrap()).unwrap();
    let can = || dev.ask(&["can", "DELETE /books/b1", "--token", "@rita.token"]);
    let answer = can();
    assert_eq!(answer.code, 0, "{answer:?}");
    assert_eq!(answer.json()["credential"]["strategy"], "bearer");
    dev.ask(&["session", "revoke", "--subject", "rita"]);
    let answer = can();
    assert_eq!(
        (answer.code, &answer.json()["credential"]["state"]),
        (11, &"rejected".into()),
        "{answer:?}"
    );
}

#[test]
fn status_health_and_reload_answer() {
    let dev = Dev::start();
    let status = dev.ask(&["status"]).json();
    assert_eq!(
        (&status["store_ready"], &status["policy"]["operation_count"]),
        (&true.into(), &6.into())
    );
    assert_eq!(dev.ask(&["health"]).json()["status"], "serving");
    assert_eq!(dev.ask(&["health", "--service", "none.Such"]).code, 5);
    assert_eq!(dev.ask(&["reload"]).code, 0);
    let app = dev.path("apps/shop.yaml");
    let good = std::fs::read_to_string(&app).unwrap();
    std::fs::write(&app, good.replace("require_any", "require_sum")).unwrap();
    let refused = dev.ask(&["reload"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(
        refused.stderr.starts_with("error: unknown key"),
        "{refused:?}"
    );
    let status = dev.ask(&["status"]).json();
    assert!(
        status["policy"]["last_error"]
            .as_str()
            .unwrap()
            .contains("require_sum"),
        "{status}"
    );
    assert_eq!(
        dev.ask(&["can", "DELETE /books/b1", "--as", "rita"]).code,
        0
    );
}

#[test]
fn what_the_admin_socket_alone_serves_says_so_on_tcp() {
    let dev = Dev::start();
    let grpc = dev.ready["grpc"].as_array().unwrap();
    let tcp = grpc
        .iter()
        .find_map(|address| address.as_str().filter(|text| !text.starts_with("unix:")))
        .unwrap();
    let address = format!("http://{tcp}");
    let ask = |args: &[&str]| run(dev.dir.path(), &[args, &["--addr", &address]].concat());
    assert_eq!(ask(&["health"]).code, 0);
    let anonymous = ask(&["session", "list"]);
    assert_eq!(anonymous.code, 6, "{anonymous:?}");
    assert!(
        anonymous.stderr.contains("SIDEGATE_TOKEN_FILE"),
        "{anonymous:?}"
    );
    let named = ask(&["session", "list", "--token-file", "shop.token"]);
    assert_eq!(named.code, 6, "{named:?}");
}

#[test]
fn what_the_data_socket_does_not_serve_names_the_admin_socket() {
    let dev = Dev::start();
    let ran = run(dev.dir.path(), &["status", "--addr", "unix:sidegate.sock"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("admin.sock"), "{ran:?}");
}

#[test]
fn a_cookie_and_an_api_key_are_judged_by_the_running_sidegate() {
    let dev = Dev::start();
    let cookie = dev
        .ask(&["session", "create", "--subject", "rita", "--kind", "cookie"])
        .json();
    let key = dev
        .ask(&["key", "create", "--name", "ci", "--subject", "rita"])
        .json();
    let cookie = cookie["token"].as_str().unwrap();
    let key = key["key"].as_str().unwrap();
    for (flag, secret, strategy) in [
        ("--cookie", cookie.to_owned(), "cookie"),
        ("--cookie", format!("__Host-session={cookie}"), "cookie"),
        ("--api-key", key.to_owned(), "api_key"),
        ("--api-key", format!("X-API-Key: {key}"), "api_key"),
    ] {
        std::fs::write(dev.path("secret"), secret).unwrap();
        let can = dev.ask(&["can", "DELETE /books/b1", flag, "@secret"]);
        assert_eq!(can.code, 0, "{flag}: {can:?}");
        assert_eq!(can.json()["credential"]["strategy"], strategy, "{can:?}");
    }
    std::fs::write(dev.path("secret"), format!("other={cookie}")).unwrap();
    let other = dev.ask(&["can", "DELETE /books/b1", "--cookie", "@secret"]);
    assert_eq!(other.code, 11, "{other:?}");
    assert!(other.stderr.contains("`NAME=VALUE`"), "{other:?}");
}
