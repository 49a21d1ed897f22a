//! The keys of a Sidegate on disk: one file each, which only its owner may read.
//!
//! A file is named after the second in which its key took over, as `1800000000.key`. The newest is
//! the current one; one before it stays good until its successor is older than the overlap.

use std::{
    fs::{DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use auth_core::{
    clock::Timestamp,
    keys::{Keyring, MasterKey},
    policy::settings::Keys,
    random::Random,
};

const SUFFIX: &str = ".key";
const KEY_BYTES: usize = 32;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// A file or folder cannot be read or made.
    #[error("the key file `{path}` cannot be used")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read a key.
    #[error("others may read the key file `{0}`; run `chmod 600` on it, and think of a new key")]
    Shared(PathBuf),
    /// A file is no key.
    #[error("the key file `{0}` does not hold 32 bytes; restore it, or remove it for a new key")]
    Malformed(PathBuf),
    /// No randomness could be had for a new key.
    #[error(transparent)]
    Random(#[from] auth_core::random::RandomError),
}

/// Reads the keys in a folder; makes folder and key when there are none.
///
/// # Errors
///
/// Returns [`KeyFileError`] when a key cannot be read or is not one.
pub fn load(settings: &Keys, random: &dyn Random, now: Timestamp) -> Result<Keyring, KeyFileError> {
    let mut files = list(&settings.dir)?;
    if files.is_empty() {
        files.push(create(&settings.dir, random, now)?);
    }
    let mut newest_first = files.iter().rev();
    let Some(&(mut successor, ref path)) = newest_first.next() else {
        return Ok(Keyring::new(&MasterKey::generate(random)?, &[]));
    };
    let current = read(path)?;
    let mut previous = Vec::new();
    for (took_over, path) in newest_first {
        let until = successor.plus(settings.overlap);
        if now >= until {
            break;
        }
        previous.push((read(path)?, until));
        successor = *took_over;
    }
    Ok(Keyring::rotated(&current, &previous))
}

/// The key files of a folder, oldest first; none when there is no folder.
fn list(folder: &Path) -> Result<Vec<(Timestamp, PathBuf)>, KeyFileError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(folder)(source)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed(folder))?.file_name();
        let second = name
            .to_str()
            .and_then(|name| name.strip_suffix(SUFFIX))
            .and_then(|second| second.parse().ok());
        if let Some(second) = second {
            files.push((Timestamp::from_seconds(second), folder.join(&name)));
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<MasterKey, KeyFileError> {
    let file = std::fs::metadata(path).map_err(failed(path))?;
    if file.permissions().mode() & 0o077 != 0 {
        return Err(KeyFileError::Shared(path.to_owned()));
    }
    let bytes = std::fs::read(path).map_err(failed(path))?;
    <[u8; KEY_BYTES]>::try_from(&*bytes)
        .map(MasterKey::from_bytes)
        .map_err(|_| KeyFileError::Malformed(path.to_owned()))
}

fn create(
    folder: &Path,
    random: &dyn Random,
    now: Timestamp,
) -> Result<(Timestamp, PathBuf), KeyFileError> {
    let mut make = DirBuilder::new();
    make.recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed(folder))?;
    let key = MasterKey::generate(random)?;
    let path = folder.join(format!("{}{SUFFIX}", now.as_seconds()));
    // Written under another name first: nobody ever reads half a key.
    let draft = folder.join(format!(".{}.draft", std::process::id()));
    let _ = std::fs::remove_file(&draft);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .map_err(failed(&draft))?;
    file.write_all(key.expose()).map_err(failed(&draft))?;
    file.sync_all().map_err(failed(&draft))?;
    // A replica that shares the folder may have been faster; a link never replaces its key.
    let linked = std::fs::hard_link(&draft, &path);
    let _ = std::fs::remove_file(&draft);
    match linked {
        Err(err) if err.kind() != io::ErrorKind::AlreadyExists => Err(failed(&path)(err)),
        Ok(()) | Err(_) => Ok((Timestamp::from_seconds(now.as_seconds()), path)),
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> KeyFileError {
    let path = path.to_owned();
    move |source| KeyFileError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use auth_core::random::SystemRandom;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn keys(folder: &Path) -> Keys {
        Keys {
            dir: folder.join("keys"),
            overlap: Duration::from_secs(60),
        }
    }

    fn put(keys: &Keys, second: i64, byte: u8, mode: u32) {
        let path = keys.dir.join(format!("{second}.key"));
        std::fs::create_dir_all(&keys.dir).unwrap();
        std::fs::write(&path, [byte; 32]).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_key_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys(folder.path());
        let sealed = load(&keys, &SystemRandom, NOW)
            .unwrap()
            .seal(&SystemRandom, b"x");
        let again = load(&keys, &SystemRandom, NOW.plus(Duration::from_secs(9))).unwrap();
        assert_eq!(
            again.open(&sealed.unwrap(), NOW).as_deref(),
            Some(&b"x"[..])
        );
        let made = std::fs::read_dir(&keys.dir)
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        assert_eq!(made.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_old_key_is_good_for_the_overlap() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys(folder.path());
        let old = Keyring::new(&MasterKey::from_bytes([1; 32]), &[]);
        let sealed = old.seal(&SystemRandom, b"x").unwrap();
        put(&keys, 1_700_000_000, 1, 0o600);
        put(&keys, 1_800_000_000, 2, 0o600);
        for (age, is_good) in [(0, true), (59, true), (60, false)] {
            let now = NOW.plus(Duration::from_secs(age));
            let ring = load(&keys, &SystemRandom, now).unwrap();
            assert_eq!(ring.open(&sealed, now).is_some(), is_good, "{age} s");
        }
        // Also where it was read while it was good.
        let ring = load(&keys, &SystemRandom, NOW).unwrap();
        let end = NOW.plus(Duration::from_secs(60));
        assert!(ring.open(&sealed, end).is_none());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys(folder.path());
        put(&keys, 1_800_000_000, 1, 0o644);
        let refused = load(&keys, &SystemRandom, NOW).unwrap_err();
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
    }
}
