package cli

// Version is what --version prints: that of the module, as worker.Version.
const Version = "0.1.0"
