# What `cmake --install` gives: headers, libraries, the program, and a CMake package nsameta::nsameta.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(FILES core/include/nsameta/nsameta.h core/include/nsameta/nsameta.hpp core/include/nsameta/device.h
  core/backend.h core/ops.def core/outputs.def DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/nsameta)

# The backends lie beside the library, where it looks for them.
install(TARGETS nsameta EXPORT nsameta LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
foreach(backend cuda hip)
  if(TARGET nsameta_${backend})
    install(TARGETS nsameta_${backend} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  endif()
endforeach()
if(TARGET nsameta_cli)
  file(RELATIVE_PATH libraries_from_bin ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  set(search_paths $ORIGIN/../lib $ORIGIN/${libraries_from_bin})  # of the build folder and of the installed program
  list(REMOVE_DUPLICATES search_paths)
  set_target_properties(nsameta_cli PROPERTIES INSTALL_RPATH "${search_paths}" BUILD_WITH_INSTALL_RPATH ON)
  install(TARGETS nsameta_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/nsameta)
install(EXPORT nsameta NAMESPACE nsameta:: FILE nsametaConfig.cmake DESTINATION ${package_dir})
# Before 1.0 a minor version may break the ABI.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/nsametaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/nsametaConfigVersion.cmake DESTINATION ${package_dir})
