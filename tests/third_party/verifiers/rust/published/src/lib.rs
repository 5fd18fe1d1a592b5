//! Nothing: this package has only dependencies.
