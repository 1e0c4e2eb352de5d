//! Keys and certificates of one control plane, made when it starts and gone with the lab's directory.
//!
//! One authority signs the API server's certificate and those of the components and persons that call it. Private
//! keys are readable by the owner only. Service accounts' tokens are the API server's work; here is only their key.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};

use crate::{LabError, LabResult, scratch::replace_file};

/// Mode of a private key's file.
const SECRET: u32 = 0o600;
/// Mode of everything else.
const PUBLIC: u32 = 0o644;

/// A certificate and its private key, each in a file.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// The authority and the directory of everything that it signed.
pub(crate) struct Pki {
    dir: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
    /// Certificates of this authority and of those before it, newest first.
    bundle: String,
    generation: u32,
}

impl Pki {
    /// A fresh authority and a fresh key for service accounts, in `dir`, which exists.
    pub(crate) fn new(dir: &Path) -> LabResult<Self> {
        let authority = authority(1)?;
        let pki = Self {
            dir: dir.to_owned(),
            bundle: authority.pem(),
            authority,
            generation: 1,
        };
        pki.write_bundle()?;
        let key = KeyPair::generate().map_err(fault("make the service accounts' key"))?;
        replace_file(&pki.signing_key(), &key.serialize_pem(), SECRET)?;
        replace_file(&pki.verifying_key(), &key.public_key_pem(), PUBLIC)?;
        Ok(pki)
    }

    /// The file with the authority's certificates, for whoever must know the API server by its certificate.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }

    /// The private key that signs service accounts' tokens.
    pub(crate) fn signing_key(&self) -> PathBuf {
        self.dir.join("service-accounts.key")
    }

    /// The public half of [`Pki::signing_key`].
    pub(crate) fn verifying_key(&self) -> PathBuf {
        self.dir.join("service-accounts.pub")
    }

    /// A new serving certificate `name`, for these names and addresses.
    pub(crate) fn serving(
        &self,
        name: &str,
        names: &[&str],
        addresses: &[IpAddr],
    ) -> LabResult<Pair> {
        let subjects: Vec<String> = names
            .iter()
            .map(ToString::to_string)
            .chain(addresses.iter().map(ToString::to_string))
            .collect();
        let mut params =
            CertificateParams::new(subjects).map_err(fault("name the serving certificate"))?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(name, params)
    }

    /// A new client certificate, which makes its holder `user` of `group`. Its file is called by the user.
    pub(crate) fn client(&self, user: &str, group: &str) -> LabResult<Pair> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&user.replace(':', "-"), params)
    }

    /// Goes over to a new authority. What the old one signed stays good, since the bundle has both.
    pub(crate) fn rotate_authority(&mut self) -> LabResult<()> {
        self.generation += 1;
        self.authority = authority(self.generation)?;
        self.bundle.insert_str(0, &self.authority.pem());
        self.write_bundle()
    }

    /// The files of a certificate by the name that it was signed with.
    pub(crate) fn pair(&self, file: &str) -> Pair {
        Pair {
            certificate: self.dir.join(format!("{file}.crt")),
            key: self.dir.join(format!("{file}.key")),
        }
    }

    fn write_bundle(&self) -> LabResult<()> {
        replace_file(&self.bundle(), &self.bundle, PUBLIC)
    }

    fn sign(&self, file: &str, mut params: CertificateParams) -> LabResult<Pair> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let what = || format!("sign the certificate of {file}");
        let key = KeyPair::generate().map_err(fault(what()))?;
        let certificate = params
            .signed_by(&key, &self.authority)
            .map_err(fault(what()))?;
        let pair = self.pair(file);
        replace_file(&pair.key, &key.serialize_pem(), SECRET)?;
        replace_file(&pair.certificate, &certificate.pem(), PUBLIC)?;
        Ok(pair)
    }
}

impl std::fmt::Debug for Pki {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Pki({}, {})", self.dir.display(), self.generation)
    }
}

/// A certificate authority. Each has a name of its own, so that a verifier never tries the wrong one's key.
fn authority(generation: u32) -> LabResult<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(
        DnType::CommonName,
        format!("podwall-lab authority {generation}"),
    );
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let key = KeyPair::generate().map_err(fault("make the authority's key"))?;
    CertifiedIssuer::self_signed(params, key).map_err(fault("make the authority"))
}

fn fault(what: impl Into<String>) -> impl FnOnce(rcgen::Error) -> LabError {
    let what = what.into();
    move |error| LabError::io(what)(std::io::Error::other(error))
}
