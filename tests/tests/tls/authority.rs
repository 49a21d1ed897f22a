//! Authorities, and the certificates that they sign.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType, date_time_ymd,
};

/// Signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a certificate is for, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Server,
    Client,
    ExpiredClient,
    ClientOfTomorrow,
    ClientUntil(SystemTime),
}

/// A certificate and its key in files.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Its own certificate, in a file of this name.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(format!("{name}.pem"));
        replace(&path, &self.0.pem());
        path
    }

    /// A certificate in files of this name, for hosts and SPIFFE ids.
    pub(crate) fn sign(&self, folder: &Path, name: &str, kind: Kind, names: &[&str]) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = self.params(kind, names).signed_by(&key, &self.0).unwrap();
        let pair = Pair {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}.key")),
        };
        replace(&pair.certificate, &certificate.pem());
        replace(&pair.key, &key.serialize_pem());
        pair
    }

    fn params(&self, kind: Kind, names: &[&str]) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names
            .iter()
            .map(|name| match (name.starts_with("spiffe:"), name.parse()) {
                (true, _) => SanType::URI((*name).try_into().unwrap()),
                (false, Ok(ip)) => SanType::IpAddress(ip),
                (false, Err(_)) => SanType::DnsName((*name).try_into().unwrap()),
            })
            .collect();
        params.extended_key_usages = vec![match kind {
            Kind::Server => ExtendedKeyUsagePurpose::ServerAuth,
            _ => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        match kind {
            Kind::ExpiredClient => params.not_after = date_time_ymd(2020, 1, 1),
            Kind::ClientOfTomorrow => params.not_before = date_time_ymd(3000, 1, 1),
            Kind::ClientUntil(end) => params.not_after = end.into(),
            Kind::Server | Kind::Client => {}
        }
        params
    }
}

/// Puts a file in the place of another at once, readable by its owner alone.
pub(crate) fn replace(path: &Path, text: &str) {
    let next = path.with_extension("next");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&next)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
    fs::rename(next, path).unwrap();
}
