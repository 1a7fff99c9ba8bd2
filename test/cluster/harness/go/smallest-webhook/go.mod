module pullpass.dev/test/cluster/smallest-webhook

go 1.26.0
