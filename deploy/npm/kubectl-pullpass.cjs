#!/usr/bin/env node
// kubectl runs it for `kubectl pullpass`. src/main.ts reads the name.
require("./pullpass.cjs");
