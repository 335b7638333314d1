/** Which handler serves which route: the compiler finds a route without one. */
import type { Handler } from "../call.ts";
import type { RouteName } from "../routes.ts";
import * as streams from "./container-streams.ts";
import * as build from "./build.ts";
import { prune as buildPrune } from "./build-prune.ts";
import * as containers from "./containers.ts";
import * as faults from "./faults.ts";
import * as exec from "./exec.ts";
import * as images from "./images.ts";
import * as networks from "./networks.ts";
import * as registry from "./registry.ts";
import * as buildkit from "./session.ts";
import * as system from "./system.ts";
import * as volumes from "./volumes.ts";

export const handlers: Readonly<Record<RouteName, Handler>> = {
  ping: system.ping,
  pingHead: system.pingHead,
  version: system.version,
  info: system.info,
  events: system.events,
  diskUsage: system.diskUsage,
  pluginList: system.plugins,
  auth: registry.auth,

  containerList: containers.list,
  containerCreate: containers.create,
  containerPrune: containers.prune,
  containerInspect: containers.inspect,
  containerStart: containers.start,
  containerStop: containers.stop,
  containerRestart: containers.restart,
  containerKill: containers.kill,
  containerWait: containers.wait,
  containerRemove: containers.remove,
  containerAttach: streams.attach,
  containerLogs: streams.logs,
  containerResize: containers.resize,
  containerRename: containers.rename,
  containerStats: streams.stats,
  containerTop: containers.top,
  containerPause: containers.pause,
  containerUnpause: containers.unpause,
  containerUpdate: containers.update,
  containerChanges: containers.changes,
  containerExport: streams.exportTar,
  containerArchiveStat: streams.archiveStat,
  containerArchiveGet: streams.archiveGet,
  containerArchivePut: streams.archivePut,
  containerExec: containers.exec,
  containerCommit: containers.commit,

  faultList: faults.list,
  faultCreate: faults.create,
  faultRemove: faults.remove,

  execStart: exec.start,
  execResize: exec.resize,
  execInspect: exec.inspect,

  imageList: images.list,
  imagePull: images.create,
  imageLoad: images.load,
  imageSaveMany: images.saveMany,
  imageSearch: registry.search,
  imagePrune: images.prune,
  imageInspect: images.inspect,
  imageHistory: images.history,
  imageSave: images.save,
  imagePush: images.push,
  imageTag: images.tag,
  imageRemove: images.remove,
  imageDistribution: registry.distribution,
  session: buildkit.session,
  control: buildkit.control,
  build: build.build,
  buildPrune,

  networkList: networks.list,
  networkCreate: networks.create,
  networkPrune: networks.prune,
  networkInspect: networks.inspect,
  networkRemove: networks.remove,
  networkConnect: networks.connect,
  networkDisconnect: networks.disconnect,

  volumeList: volumes.list,
  volumeCreate: volumes.create,
  volumePrune: volumes.prune,
  volumeInspect: volumes.inspect,
  volumeRemove: volumes.remove,
};
