//! A decision whose session and data are at hand takes nothing from the heap (P-3).
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use auth_core::{
    clock::Timestamp,
    evaluation::{Evaluation, Step},
    policy::Policy,
    target::Target,
    wire::{Call, WireKind},
};

#[path = "support/three_branches.rs"]
mod three_branches;

use three_branches::{POLICY, compile, session};

/// The shop's requirement, with one more branch that reads a number of a query or of JSON.
fn policy() -> Policy {
    compile(
        &POLICY
            .replace(
                "operations:\n",
                "  is_early: data.page < 10\noperations:\n",
            )
            .replace(
                "      reviewer:",
                "      early: [ is_early, is_member ]\n      reviewer:",
            )
            .replace(
                "    http: DELETE /books/{book_id}\n",
                "    http: DELETE /books/{book_id}\n    data: { page: { type: int, http: query.page } }\n",
            ),
    )
}

/// Decides a call and answers whether it is allowed, and how often memory was asked for.
fn decide(role: &str, call: &Call, target: Option<&Target<'_>>, book: &str) -> (bool, u64) {
    let policy = policy();
    let app = policy.apps.all.first().unwrap();
    let operation = app.operation("delete_book").unwrap();
    let session = session(role);
    let path = target.map_or("books.delete", Target::path);
    let mut verdict = None;
    let used = allocation_counter::measure(|| {
        let now = Timestamp::EPOCH;
        let mut evaluation = Evaluation::new(app, operation, call, path, Some(&session), now);
        let mut step = evaluation.step();
        if step == Step::NeedData {
            evaluation.read_data(target, |_| Some(book)).unwrap();
            step = evaluation.step();
        }
        verdict = Some(step);
    });
    (verdict == Some(Step::Allow), used.count_total)
}

#[test]
fn p03_an_allow_and_a_deny_take_nothing_from_the_heap() {
    for (role, book, page, allowed) in [
        ("admin", "b1", "12", true),
        ("user", "u1", "12", true),
        ("user", "b1", "9", true),
        ("reviewer", "b1", "12", true),
        ("user", "b1", "12", false),
        ("user", "b1", "012", false),
    ] {
        let call = Call::new(WireKind::Http, "DELETE", &format!("/books/b1?page={page}"));
        let target = Target::parse(call.target.as_bytes()).unwrap();
        let decided = decide(role, &call, Some(&target), book);
        assert_eq!(decided, (allowed, 0), "{role} {book} {page}");
    }
}

#[test]
fn p03_nor_do_they_when_their_data_is_json() {
    for (data, allowed) in [
        (r#"{"book_id":"u1","page":12}"#, true),
        (r#"{"book_id":"b1","page":9}"#, true),
        (r#" { "book_id" : "bü", "page" : 12 } "#, false),
        (
            r#"{"book_id":"b1","page":"9","other":-1,"more":null}"#,
            false,
        ),
        (r#"{"book_id":null,"page":true}"#, false),
        ("{}", false),
        ("", false),
    ] {
        let call = Call {
            data_json: data.to_owned().into(),
            ..Call::new(WireKind::Queue, "", "books.delete")
        };
        assert_eq!(decide("user", &call, None, ""), (allowed, 0), "{data}");
    }
}
