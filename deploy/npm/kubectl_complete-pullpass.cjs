#!/usr/bin/env node
// kubectl runs it to complete `kubectl pullpass`. src/main.ts reads the name.
require("./pullpass.cjs");
