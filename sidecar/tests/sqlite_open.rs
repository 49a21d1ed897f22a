//! Opening the embedded store: what is refused, and what is said.
#![expect(clippy::unwrap_used, reason = "in tests a panic is the failure report")]

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use auth_core::store::{
    Changes, CreateError, StoreError,
    contract::{Bench, T0, object},
};
use rusqlite::Connection;
use sidecar::store::sqlite::{OpenError, SCHEMA_VERSION, SqliteOptions, SqliteStore};

fn open(directory: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(directory, SqliteOptions::default())
}

fn refusal(directory: &Path) -> OpenError {
    open(directory).map(drop).unwrap_err()
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::new(open(directory.path()).unwrap());
    let new = bench.draft("u1");
    let token = new.token;
    bench.run(async |bench| {
        bench.make(new).await;
    });
    Bench::new(open(directory.path()).unwrap()).run(async move |bench| {
        assert!(bench.lives(&token, T0).await);
    });
}

#[test]
fn the_highest_time_is_kept_across_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::new(open(directory.path()).unwrap());
    let new = bench.draft("u1");
    let token = new.token;
    let end = new.expires_at;
    bench.run(async move |bench| {
        bench.make(new).await;
        bench.store.sweep(0, end).await.unwrap();
    });
    Bench::new(open(directory.path()).unwrap()).run(async move |bench| {
        assert!(!bench.lives(&token, T0).await);
    });
}

#[test]
fn a_directory_is_held_by_one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let held = open(directory.path()).unwrap();
    let refused = refusal(directory.path());
    assert!(matches!(refused, OpenError::Held(_)));
    let path = directory.path().to_str().unwrap();
    assert!(refused.to_string().contains(path), "{refused}");
    drop(held);
    assert!(open(directory.path()).is_ok());
}

#[test]
fn the_files_are_private() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("data");
    let _store = open(&directory).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{path:?}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = refusal(&file.join("data"));
    assert!(matches!(refused, OpenError::Directory { .. }), "{refused}");
}

#[test]
fn a_file_that_is_no_database_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sidegate.db");
    let text = "no database at all, ".repeat(100);
    fs::write(&file, &text).unwrap();
    let refused = refusal(directory.path());
    assert!(matches!(refused, OpenError::NotAStore(_)), "{refused}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_database_of_something_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let other = Connection::open(directory.path().join("sidegate.db")).unwrap();
    other.execute_batch("CREATE TABLE things (name)").unwrap();
    drop(other);
    let refused = refusal(directory.path());
    assert!(matches!(refused, OpenError::NotAStore(_)), "{refused}");
}

#[test]
fn a_newer_schema_is_refused_with_both_versions() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()).unwrap());
    let file = Connection::open(directory.path().join("sidegate.db")).unwrap();
    let newer = SCHEMA_VERSION + 1;
    file.pragma_update(None, "user_version", newer).unwrap();
    drop(file);
    let refused = refusal(directory.path());
    assert!(matches!(refused, OpenError::Newer { found, .. } if found == newer));
    assert!(refused.to_string().contains(&newer.to_string()));
}

#[test]
fn a_full_store_says_so_and_serves_on() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        max_pages: Some(60),
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(directory.path(), options).unwrap();
    Bench::new(store).run(async |bench| {
        let first = bench.sign_in("u1").await;
        let refused = loop {
            let mut new = bench.draft("u1");
            new.attributes = object("pad", &"x".repeat(8000));
            if let Err(refused) = bench.store.create(new, T0).await {
                break refused;
            }
        };
        assert_eq!(refused, CreateError::Store(StoreError::OutOfSpace));
        // Nothing acknowledged is lost, and the writer goes on: sweeping makes room.
        assert!(bench.lives(&first.token, T0).await);
        bench
            .store
            .sweep(100, first.record.expires_at)
            .await
            .unwrap();
    });
}

#[test]
fn events_beyond_the_number_kept_are_reset() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        events: 2,
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(directory.path(), options).unwrap();
    Bench::new(store).run(async |bench| {
        let start = bench.store.position().await.unwrap();
        for _ in 0..4 {
            bench.sign_in("u1").await;
        }
        assert_eq!(bench.store.sweep(9, T0).await.unwrap().removed, 2);
        let end = bench.store.position().await.unwrap();
        let changes = bench.store.watch(&bench.tenant, start, 9).await.unwrap();
        assert_eq!(changes, Changes::Reset(end));
    });
}
