//! Ports for programs that cannot be given port 0.

use std::{
    collections::hash_map::RandomState,
    env,
    fs::{self, File, TryLockError},
    hash::{BuildHasher as _, Hasher as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

/// Below the ports that the system hands out by itself, so that nobody's outgoing connection
/// takes one between our look and the program's bind.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// A port that no other test of this machine is given for as long as this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    // The lock goes with the file, also when the test process is killed.
    _lock: File,
}

impl Port {
    /// A port on which nobody listens.
    ///
    /// # Panics
    ///
    /// Panics when there is none.
    #[must_use]
    pub fn free() -> Self {
        let folder = env::temp_dir().join("sidegate-test-ports");
        fs::create_dir_all(&folder).expect("a folder for the locks of ports");
        let start = (RandomState::new().build_hasher().finish() % u64::from(COUNT)) as u16;
        for step in 0..COUNT {
            let number = FIRST + (start + step) % COUNT;
            let lock = File::create(folder.join(number.to_string())).expect("a lock file");
            match lock.try_lock() {
                Ok(()) if is_free(number) => {
                    return Self {
                        number,
                        _lock: lock,
                    };
                }
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(err)) => panic!("cannot lock a port: {err}"),
            }
        }
        panic!("no free port from {FIRST} on");
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// It, on this machine.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// On any address: a server may listen on all of them.
fn is_free(number: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).is_ok()
}
