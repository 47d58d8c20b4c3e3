// What befalls the cluster while people talk, and what each waits for before it is mended.

const GOES_ON = 30; // more messages of everybody, who may have to find another gateway first

// Of a part that others stand in for: the chat goes on without it.
function withStandIn(name, hurt, mend) {
  return {
    name,
    async befall(people) {
      await hurt();
      await people.progress(GOES_ON);
      await mend();
      await people.progress(GOES_ON);
    },
  };
}

// Of a part that is there once: the chat halts, and nothing is lost.
function withoutStandIn(name, hurt, mend) {
  return {
    name,
    async befall(people) {
      await hurt();
      await people.stall();
      await mend();
      await people.progress(GOES_ON);
    },
  };
}

function ofPart(cluster, service, networks, kind) {
  let part;
  const hurtBy = (action) => async () => {
    part = service === "gateway" ? await cluster.busiest() : (await cluster.containers(service))[0];
    await action(part);
  };

  return [
    kind(`docker kill ${service}`, hurtBy((container) => cluster.kill(container)), () => cluster.start(part)),
    ...networks.map((network) =>
      kind(
        `docker network disconnect ${network} ${service}`,
        hurtBy((container) => cluster.cut(container, network)),
        () => cluster.join(part, network),
      ),
    ),
  ];
}

// `bus` is "redis" or "router".
export function faultsOf(cluster, bus) {
  return [
    ...ofPart(cluster, "gateway", ["front", "back"], withStandIn),
    ...ofPart(cluster, bus, ["back"], bus === "redis" ? withoutStandIn : withStandIn),
    ...ofPart(cluster, "balancer", ["front"], withoutStandIn),
    {
      name: "--scale gateway=5, then 2, then 3",
      async befall(people) {
        for (const count of [5, 2, 3]) {
          await cluster.scale(count);
          await cluster.isReady();
          await people.progress(GOES_ON);
        }
      },
    },
    rollingRestart(cluster, "gateway"),
    ...(bus === "router" ? [rollingRestart(cluster, "router")] : []),
  ];
}

// As an update does it: one after the other, each when the one before is well.
function rollingRestart(cluster, service) {
  return {
    name: `rolling restart of every ${service}`,
    async befall(people) {
      for (const container of await cluster.containers(service)) {
        await cluster.restart(container);
        await cluster.isHealthy(container);
        await people.progress(GOES_ON);
      }
    },
  };
}
