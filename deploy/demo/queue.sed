# cluster.yaml with podwall in mode queue:
#   sed -f deploy/demo/queue.sed deploy/demo/cluster.yaml | kubectl apply -f -
#
# The two programs change their mode; the sidecar gets NET_ADMIN, which only root is given without a file capability.
s/--mode, redirect/--mode, queue/
s/runAsUser: 65532/runAsUser: 0/
/runAsGroup: 65532/d
/runAsNonRoot: true/d
s/drop: \[ALL\] }/drop: [ALL], add: [NET_ADMIN] }/
