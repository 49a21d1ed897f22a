//! TLS of listeners: which files it takes.

use std::path::Path;

use super::{Tls, address::join, faults::Faults};
use crate::policy::file::TlsFile;

/// Reads the files' names; what the files hold is for whoever opens them.
pub(super) fn read(
    key: &'static str,
    file: Option<&TlsFile>,
    folder: &Path,
    faults: &mut Faults<'_>,
) -> Option<Tls> {
    let file = file?;
    let named = [
        Some(&file.certificate),
        Some(&file.key),
        file.client_ca.as_ref(),
    ];
    for at in named.into_iter().flatten().filter(|at| at.is_empty()) {
        faults.add(key, at, "the file's name is empty", None);
    }
    Some(Tls {
        certificate: join(folder, &*file.certificate.value),
        key: join(folder, &*file.key.value),
        client_ca: file
            .client_ca
            .as_ref()
            .map(|path| join(folder, &*path.value)),
    })
}
