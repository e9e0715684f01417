//! The desired state: `fleet.yaml`.
