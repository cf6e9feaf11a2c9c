# List the targets of a Makefile: "##@ Heading" lines, and "target: needs ## what it does".
BEGIN { FS = ":.*## "; print "Usage: make TARGET" }
/^##@ / { print "\n" substr($0, 5) ":" }
/^[a-z-]+:.*## / { printf "  %-16s %s\n", $1, $2 }
