//! OCI image layout directories (OCI image spec, image-layout.md): blobs named by their digest.
