//! What the user of `sidegated` sees when its data directory cannot be used: an exit code, which
//! path it is, what is wrong and what to do next.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Command,
};

use proto::v1;
use rusqlite::Connection;
use sidecar::{
    listener,
    store::sqlite::{SCHEMA_VERSION, SqliteOptions, SqliteStore},
};
use tempfile::TempDir;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{
    client::Client,
    daemon::{Daemon, command, run_to_end},
    harness, shop,
};

/// The user without any rights.
const NOBODY: u32 = 65534;
/// The bytes of a page of the database.
const PAGE: usize = 4096;

fn folder() -> TempDir {
    shop::folder("{}", "{}")
}

/// A folder whose data directory has been used.
async fn used() -> TempDir {
    let folder = folder();
    let daemon = Daemon::start(folder.path()).await;
    Client::of(&daemon).await.sign_in("u1").await;
    assert!(daemon.stop().await.status.success());
    folder
}

fn database(folder: &TempDir) -> PathBuf {
    folder.path().join("data/sidegate.db")
}

/// The daemon does not start, exits with 1, and says all of this, the path first.
async fn refuses(command: Command, path: &Path, words: &[&str]) {
    let ended = run_to_end(command).await;
    let said = &ended.written;
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("`{}`", path.display())), "{said}");
    for words in words {
        assert!(said.contains(words), "`{words}` not in\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_made() {
    let folder = folder();
    fs::write(folder.path().join("file"), "").unwrap();
    let data = folder.path().join("file/data");
    let mut command = command(folder.path());
    command.arg("--data-dir").arg(&data);
    let words = [
        "error: the data directory",
        "cannot be made; make it, or choose another directory",
        "because Not a directory",
    ];
    refuses(command, &data, &words).await;
}

#[tokio::test]
async fn a_directory_that_is_read_only() {
    let folder = used().await;
    let data = folder.path().join("data");
    let command = command_without_rights(&folder);
    for entry in fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        let mode = if path.is_dir() { 0o500 } else { 0o400 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(&data, fs::Permissions::from_mode(0o500)).unwrap();
    let words = [
        "cannot be written; let the user who runs this process write the data directory",
        "because Permission denied",
    ];
    refuses(command, &data.join("sidegate.lock"), &words).await;
    // So that the folder can be removed by its owner.
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
}

/// A daemon that a read-only file stops. Nothing stops root, so that root runs it as nobody, who
/// then owns the files and a program in a place of their own.
fn command_without_rights(folder: &TempDir) -> Command {
    if listener::own_uid() != 0 {
        return command(folder.path());
    }
    let program = folder.path().join("sidegated");
    let built = env!("CARGO_BIN_EXE_sidegated");
    if fs::hard_link(built, &program).is_err() {
        fs::copy(built, &program).unwrap();
    }
    give(folder.path());
    let mut command = Command::new(&program);
    command
        .arg("--config")
        .arg(folder.path().join("sidegate.yaml"))
        .uid(NOBODY)
        .gid(NOBODY);
    command
}

/// Gives a folder and all in it to nobody; but not the program, which may be a link to the one
/// that was built.
fn give(path: &Path) {
    if path.ends_with("sidegated") {
        return;
    }
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

#[tokio::test]
async fn a_directory_that_another_process_holds() {
    let (first, second) = (folder(), folder());
    let daemon = Daemon::start(first.path()).await;
    let data = first.path().join("data");
    let mut command = command(second.path());
    command.arg("--data-dir").arg(&data);
    let words = [
        "another process holds the data directory",
        "stop it, or give each process a directory of its own",
    ];
    refuses(command, &data, &words).await;
    // The one that holds it serves on.
    let client = Client::of(&daemon).await;
    let token = client.sign_in("u1").await;
    assert_eq!(client.outcome("/books", &token).await, v1::Outcome::Allow);
}

#[tokio::test]
async fn a_database_of_a_newer_version() {
    let folder = used().await;
    let newer = SCHEMA_VERSION + 1;
    let file = Connection::open(database(&folder)).unwrap();
    file.pragma_update(None, "user_version", newer).unwrap();
    drop(file);
    let before = fs::read(database(&folder)).unwrap();
    let words = [
        &*format!("has schema version {newer}, this program knows up to {SCHEMA_VERSION}"),
        "run the program that wrote it, or a later one, or choose another data directory",
    ];
    refuses(command(folder.path()), &database(&folder), &words).await;
    assert!(
        before == fs::read(database(&folder)).unwrap(),
        "it was changed"
    );
}

#[tokio::test]
async fn a_file_that_is_no_database() {
    let folder = folder();
    fs::create_dir(folder.path().join("data")).unwrap();
    let text = "no database at all, ".repeat(1000);
    fs::write(database(&folder), &text).unwrap();
    let words = ["is no store of ours; move it away, or choose another data directory"];
    refuses(command(folder.path()), &database(&folder), &words).await;
    assert_eq!(fs::read_to_string(database(&folder)).unwrap(), text);
}

#[tokio::test]
async fn a_database_that_is_corrupt() {
    let folder = used().await;
    let good = fs::read(database(&folder)).unwrap();
    for (what, bytes) in [
        (
            "pages of noise",
            [&good[..PAGE], &vec![0xa5; good.len() - PAGE]].concat(),
        ),
        ("an end cut off", good[..good.len() / 2].to_vec()),
        (
            "a schema of noise",
            [&good[..200], &vec![0xa5; PAGE - 200], &good[PAGE..]].concat(),
        ),
    ] {
        fs::write(database(&folder), &bytes).unwrap();
        let words = [
            "cannot be used; mend it, or restore it from a backup",
            "because database disk image is malformed",
        ];
        refuses(command(folder.path()), &database(&folder), &words).await;
        let after = fs::read(database(&folder)).unwrap();
        assert!(bytes == after, "{what}: it was changed");
    }
}

/// Noise in any one page lets nobody in, and brings nothing back: what cannot be read is not known.
#[tokio::test]
async fn a_damaged_page_never_makes_an_allow() {
    let folder = folder();
    let daemon = Daemon::start(folder.path()).await;
    let client = Client::of(&daemon).await;
    let live = client.sign_in("u1").await;
    let ended = client.sign_in("u2").await;
    client.log_out(&ended).await;
    drop(client);
    assert!(daemon.stop().await.status.success());
    let good = fs::read(database(&folder)).unwrap();
    let (mut refused, mut undetermined) = (0, 0);
    for page in 1..good.len() / PAGE {
        let mut bytes = good.clone();
        bytes[page * PAGE..(page + 1) * PAGE].fill(0xa5);
        // The last daemon was killed and may have left its log of writes, with pages of its own.
        for file in ["sidegate.db-wal", "sidegate.db-shm"] {
            let _ = fs::remove_file(folder.path().join("data").join(file));
        }
        fs::write(database(&folder), &bytes).unwrap();
        let Ok(daemon) = Daemon::try_start(folder.path()).await else {
            refused += 1;
            continue;
        };
        let client = Client::of(&daemon).await;
        let of_live = client.outcome("/books", &live).await;
        let of_ended = client.outcome("/books", &ended).await;
        use v1::Outcome as O;
        assert!(
            matches!(of_live, O::Allow | O::Undetermined),
            "{page}: {of_live:?}"
        );
        assert!(
            matches!(of_ended, O::Unauthenticated | O::Undetermined),
            "{page}: {of_ended:?}"
        );
        if of_live == O::Undetermined {
            let log = daemon.log();
            assert!(log.contains("the store did not answer"), "{page}: {log}");
            undetermined += 1;
        }
    }
    assert!(refused > 0 && undetermined > 0, "{refused} {undetermined}");
}

/// A session of this many bytes; answers its token.
async fn create(client: &Client, bytes: usize) -> Result<String, Status> {
    let attributes = serde_json::json!({ "pad": "x".repeat(bytes) });
    let request = v1::CreateSessionRequest {
        sign_in: Some(v1::SignIn {
            attributes_json: attributes.to_string().into(),
            ..shop::sign_in("u1", false)
        }),
        kind: v1::TokenKind::Cookie.into(),
        ..v1::CreateSessionRequest::default()
    };
    let made = client.store.clone().create_session(request).await?;
    Ok(made.into_inner().token)
}

/// Makes sessions until one is refused; all that were acknowledged go on to be good, there and
/// after a start with room.
async fn fill(client: &Client) -> (Vec<String>, Status) {
    let mut tokens = Vec::new();
    let refused = loop {
        assert!(tokens.len() < 10_000, "the store is never full");
        match create(client, 8000).await {
            Ok(token) => tokens.push(token),
            Err(refused) => break refused,
        }
    };
    assert!(!tokens.is_empty());
    // Some are not cached any more or never were; none is lost.
    for token in &tokens {
        assert_eq!(client.outcome("/books", token).await, v1::Outcome::Allow);
    }
    (tokens, refused)
}

async fn still_good(folder: &Path, tokens: &[String]) {
    let daemon = Daemon::start(folder).await;
    let client = Client::of(&daemon).await;
    for token in tokens {
        assert_eq!(client.outcome("/books", token).await, v1::Outcome::Allow);
    }
    assert!(create(&client, 8000).await.is_ok());
}

#[tokio::test]
async fn a_database_without_room_says_so_and_serves_on() {
    let folder = folder();
    let options = SqliteOptions {
        max_pages: Some(120),
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(&folder.path().join("data"), options).unwrap();
    let builder = harness::builder(&folder).store(std::sync::Arc::new(store));
    let sidecar = harness::start_with(builder, folder).await;
    let channels = [
        harness::tcp_channel(&sidecar.tcp()).await,
        harness::unix_channel(&sidecar.unix()).await,
    ];
    let client = Client::over(channels);
    let (tokens, refused) = fill(&client).await;
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.message(), "the session store is out of space");
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().reason, "STORE_OUT_OF_SPACE");
    let harness::Running {
        folder, stop, task, ..
    } = sidecar;
    drop(client);
    stop.cancel();
    task.await.unwrap().unwrap();
    still_good(folder.path(), &tokens).await;
}

/// As above, with the daemon itself: the system refuses to let a file grow.
#[tokio::test]
async fn a_file_that_may_not_grow_refuses_writes_and_serves_on() {
    let folder = folder();
    let mut limited = Command::new("sh");
    // In blocks of 512 bytes. Ignored, the signal becomes an error of the write.
    let script = "trap '' XFSZ; ulimit -f 2048; exec \"$0\" --config \"$1\"";
    limited
        .args(["-c", script, env!("CARGO_BIN_EXE_sidegated")])
        .arg(folder.path().join("sidegate.yaml"));
    let daemon = Daemon::start_with(folder.path(), limited).await;
    let client = Client::of(&daemon).await;
    let (tokens, refused) = fill(&client).await;
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    assert_eq!(refused.message(), "the session store is unavailable");
    drop(client);
    let ended = daemon.stop().await;
    assert!(ended.status.success(), "{}", ended.written);
    assert!(ended.written.contains("the store did not answer"));
    still_good(folder.path(), &tokens).await;
}
